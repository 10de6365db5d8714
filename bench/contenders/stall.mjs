// How long the JavaScript thread is kept from its work while private operations are under way.
import { availableParallelism } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";

/**
 * A `measure` for the contender: keeps twice as many operations in flight as there are cores, for `milliseconds`, and gives the delays
 * of a 1 ms timer in milliseconds beyond that millisecond. Without an operation: an idle process, the machine's own noise.
 * @param {undefined | (() => Promise<unknown>)} operation
 */
export function stall(operation) {
  return async ({ milliseconds }) => {
    const delays = monitorEventLoopDelay({ resolution: 1 });
    let completed = 0;
    const end = performance.now() + milliseconds;
    const loop = async () => {
      while (performance.now() < end) {
        await operation();
        completed++;
        // Timers get their turn between operations that never leave the thread.
        await new Promise(setImmediate);
      }
    };
    if (operation !== undefined) for (let i = 0; i < 3; i++) await operation();
    delays.enable();
    if (operation === undefined) await new Promise((resolve) => setTimeout(resolve, milliseconds));
    else await Promise.all(Array.from({ length: 2 * availableParallelism() }, loop));
    delays.disable();
    const beyond = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - 1);
    return {
      completed,
      median: beyond(delays.percentile(50)),
      p99: beyond(delays.percentile(99)),
      p999: beyond(delays.percentile(99.9)),
      max: beyond(delays.max),
    };
  };
}
