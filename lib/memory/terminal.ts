/** What a terminal shows of a secret that is typed: nothing. */
import { native } from "../native.js";
import { withNativeErrors } from "../native-error.js";

/**
 * Whether the terminal shows what is typed; what was typed before and not read is dropped. Throws where it is no
 * terminal.
 */
export function echoTyping(fd: number, on: boolean): void {
  withNativeErrors("opening", () => {
    native.terminalEcho(fd, on);
  });
}
