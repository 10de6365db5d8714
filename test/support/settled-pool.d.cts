interface PoolNumbers {
  readonly stats: { readonly bytesInUse: number; readonly allocations: number; readonly totalAllocations: number };
  readonly threads: { readonly started: number; readonly running: number; readonly queued: number };
}
declare function settledPool(
  memoryInfo: () => PoolNumbers,
  settings?: { collect?: () => void },
): Promise<{ bytesInUse: number; allocations: number; totalAllocations: number; threads: number }>;
export = settledPool;
