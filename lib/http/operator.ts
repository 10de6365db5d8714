/** What a server tells whoever runs it. */

/**
 * The caller's function, of which no failure goes anywhere but to `failed`: what is told to a log must not decide
 * whether a request is answered, or the process lives.
 */
export function guarded<T>(tell: (what: T) => unknown, failed: (error: unknown) => void): (what: T) => void {
  return (what) => {
    try {
      // It may be asynchronous, whatever its type says.
      Promise.resolve(tell(what)).catch(failed);
    } catch (error) {
      failed(error);
    }
  };
}
