/** Secrets from a real terminal and real pipes, by the built command and by the addon. */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DescriptorInput } from "../../../lib/cli/secret-input.js";

const built = join(__dirname, "..", "..", "..", "dist", "cli", "main.js");
const vectors = join(__dirname, "../../vectors");
const { keys } = JSON.parse(readFileSync(join(vectors, "index.json"), "utf8")) as {
  keys: { file: string; password: string }[];
};
const { password } = keys.find(({ file }) => file === "keys/client_private_encrypted.pem")!;
const folder = mkdtempSync(join(tmpdir(), "nomyo-secret-input-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a command on a pseudo-terminal and types a line when it asks. Prints what the terminal showed. */
const terminal = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[3], sys.argv[3:])
shown, typed = b"", False
while True:
    try: data = os.read(fd, 4096)
    except OSError: break
    if not data: break
    shown += data
    if not typed and sys.argv[1].encode() in shown:
        typed = True
        os.write(fd, sys.argv[2].encode() + b"\\n")
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

test("a password typed at a terminal opens the key, and is not shown", () => {
  copyFileSync(join(vectors, "keys/client_private_encrypted.pem"), join(folder, "private_key.pem"));
  chmodSync(join(folder, "private_key.pem"), 0o600);
  const command = [process.execPath, built, "keys", "check", "--dir", folder, "--ask-password"];
  const shown = execFileSync("python3", ["-c", terminal, "Password: ", password, ...command], { encoding: "utf8" });
  expect(shown).toContain("a good key");
  expect(shown).not.toContain(password);
});

const withFile = async (content: string | Buffer, work: (input: DescriptorInput) => Promise<void>) => {
  const file = join(folder, "file");
  writeFileSync(file, content);
  const fd = openSync(file, "r");
  try {
    await work(new DescriptorInput(fd));
  } finally {
    closeSync(fd);
  }
};

test.each([0, 1, 64 * 1024, 64 * 1024 + 1, 1_000_000])("%d bytes come whole", async (size) => {
  const content = randomBytes(size);
  await withFile(content, async (input) => {
    using read = await input.all(1_000_000, "required");
    expect(read.equals(content)).toBe(true);
  });
});

test("more than is wanted is refused", async () => {
  await withFile("x".repeat(1001), async (input) => {
    await expect(input.all(1000, "required")).rejects.toThrow(/larger than 1000 bytes/);
  });
});

test("a pipe is waited for while the event loop goes on, and the waiting can be ended", async () => {
  const fifo = join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  // Both ends: nothing comes, and it does not end.
  const fd = openSync(fifo, "r+");
  try {
    const input = new DescriptorInput(fd);
    const abort = new AbortController();
    const reading = input.line("required", { echo: true, signal: abort.signal });
    await new Promise(setImmediate);
    abort.abort();
    expect(await reading).toBeUndefined();
    const again = input.line("required", { echo: true });
    writeSync(fd, "typed\r\n");
    using line = await again;
    expect(line?.toString()).toBe("typed");
  } finally {
    closeSync(fd);
  }
});

test("what is no terminal has no echo to switch off", async () => {
  await withFile("x", async (input) => {
    expect(input.isTTY).toBe(false);
    await expect(input.line("required", { echo: false })).rejects.toThrow(/tcgetattr failed/);
  });
});

test("a FIFO as a key file is refused at once", () => {
  const fifo = join(folder, "key-fifo");
  execFileSync("mkfifo", ["-m", "600", fifo]);
  expect(() =>
    execFileSync(process.execPath, [built, "keys", "show", fifo], { stdio: "pipe", timeout: 250_000 }),
  ).toThrow(/is not a regular file/);
});

test("a command whose output is lost fails", async () => {
  const full = openSync("/dev/full", "w");
  try {
    const child = spawn(process.execPath, [built, "--help"], { stdio: ["ignore", full, "ignore"] });
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(1);
  } finally {
    closeSync(full);
  }
});
