/** Why the system refused something, in words: not everybody knows what ENOENT is. */

const words: Readonly<Record<string, string>> = {
  EACCES: "this account may not do that",
  EADDRINUSE: "another program has this address",
  EADDRNOTAVAIL: "this machine has no such address",
  EBUSY: "it is in use",
  EEXIST: "something else has this name",
  EFBIG: "it would be larger than the system allows",
  EIO: "the disk or the device failed",
  EISDIR: "it is a folder",
  ELOOP: "it is a symbolic link, or links lead in a circle",
  EMFILE: "this process has too many open files",
  ENAMETOOLONG: "the name is too long",
  ENFILE: "the machine has too many open files",
  ENODEV: "there is no such device",
  ENOENT: "there is no such file or folder",
  ENOSPC: "the disk is full",
  ENOSYS: "the system cannot do that there",
  ENOTDIR: "a part of the path is no folder",
  ENXIO: "there is no such device, or nobody listens there",
  EOPNOTSUPP: "the system cannot do that there",
  EPERM: "this account may not do that",
  EROFS: "it is mounted read-only",
};

/** `ENOENT: there is no such file or folder`: the system's name for it first, for whoever looks it up. */
export function systemReason(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  if (typeof code !== "string") return "unknown error";
  return Object.hasOwn(words, code) ? `${code}: ${words[code] ?? ""}` : code;
}

/** What the system would say, said before it is asked. */
export function asSystemSays(code: string, syscall: string, message: string): Error {
  return Object.assign(new Error(message), { code, syscall });
}
