/**
 * What is in use in the pool when no job of the package's threads is left, beside those threads' own stacks: they start
 * when they are needed, and a job that makes a key ahead of need ends when it ends. A job gives its memory back just
 * after it is counted no more, so the numbers are those that stayed for a tenth of a second.
 *
 * `memoryInfo` is the addon's, or `getMemoryProtectionInfo`; `settings.collect` runs V8's collector first, each time.
 */
const stackBytes = 128 * 1024; // kJobStackBytes of native/core/threads/job_stack.h

module.exports = async function settledPool(memoryInfo, { collect = () => {} } = {}) {
  let last;
  let same = 0;
  for (;;) {
    collect();
    const { stats, threads } = memoryInfo();
    const now = JSON.stringify([stats, threads]);
    same = threads.running === 0 && threads.queued === 0 && now === last ? same + 1 : 0;
    last = now;
    if (same === 20) {
      return {
        bytesInUse: stats.bytesInUse - threads.started * stackBytes,
        allocations: stats.allocations - threads.started,
        totalAllocations: stats.totalAllocations,
        threads: threads.started,
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
