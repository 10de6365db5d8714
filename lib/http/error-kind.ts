/** What may be told of an error that is not ours: its message might quote what it was working on. */
export function errorKind(error: unknown): string {
  const name: unknown = error instanceof Error ? error.name : undefined;
  return typeof name === "string" && /^\w{1,40}$/.test(name) ? name : typeof error;
}
