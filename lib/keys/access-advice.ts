/** What a person is told to do about a file or folder that others can get at. Nobody is sent to one of the system's. */
import { realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

const below = (folder: string, names: readonly string[]): readonly string[] => names.map((name) => `${folder}/${name}`);

/** With all that is below them. */
const WHOLE = [
  ...below("", ["bin", "boot", "dev", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr"]),
  ...below("/etc", ["apt", "ca-certificates", "cron.d", "default", "init.d", "letsencrypt", "pam.d", "pki"]),
  ...below("/etc", ["security", "ssh", "ssl", "sudoers.d", "systemd"]),
  ...below("/var", ["lib/apt", "lib/dpkg", "lib/systemd", "mail", "spool"]),
];
/** In which a machine's administrator has folders of his own; what lies in them directly is the system's. */
const SHARED = [
  ...below("", ["etc", "home", "media", "mnt", "opt", "root", "run", "srv", "tmp", "var", "usr/local"]),
  ...below("/var", ["backups", "cache", "lib", "local", "log", "opt", "tmp"]),
];
const THEIR_FILES = ["/etc", "/run", "/var", "/var/lib", "/var/log"];

/** What a shell takes as it is. */
const PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,=-";

/**
 * `Run: chmod 600 FILE`. Of what lies among the system's own, on whose modes others rely, another sentence: as root a
 * person could break the machine by doing what he is told.
 *
 * @param change - The command, without the name.
 */
export function accessAdvice(path: string, change: string, beginning = "Run"): string {
  if (!isSystems(path)) return `${beginning}: ${change} ${quoted(path)}`;
  return "It is among the system's own, whose modes others rely on: give one of your own, in a folder of your own";
}

/** By its name, where links lead. */
function isSystems(path: string): boolean {
  let whole = resolve(path);
  try {
    whole = realpathSync(whole);
  } catch {
    // It is gone by now: the name decides.
  }
  if (whole === "/" || SHARED.includes(whole)) return true;
  if (whole.startsWith("/usr/local/")) return false;
  if (WHOLE.some((folder) => whole === folder || whole.startsWith(`${folder}/`))) return true;
  return THEIR_FILES.includes(dirname(whole)) && statSync(whole, { throwIfNoEntry: false })?.isDirectory() !== true;
}

/** As a shell reads one word. */
function quoted(path: string): string {
  const word = path.startsWith("-") ? `./${path}` : path;
  return Array.from(word).every((character) => PLAIN.includes(character)) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
