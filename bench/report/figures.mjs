// Figures as people read them: three significant digits.

const digits = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** @param {number} value in milliseconds */
export function milliseconds(value) {
  if (Math.abs(value) < 0.001) return `${digits(value * 1e6)} ns`;
  if (Math.abs(value) < 1) return `${digits(value * 1000)} µs`;
  return value < 1000 ? `${digits(value)} ms` : `${digits(value / 1000)} s`;
}

/** How many times as fast. */
export const ratio = (value) =>
  `${value >= 99.5 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ×`;

/** How much `value` is over `limit`. */
export const percentLess = (value, limit) =>
  `${value >= limit ? "+" : "−"}${Math.abs((value / limit - 1) * 100).toFixed(1)} %`;

/** @param {number} bytesPerMs */
export function rate(bytesPerMs) {
  const perSecond = bytesPerMs * 1000;
  return perSecond >= 1e9 ? `${digits(perSecond / 1e9)} GB/s` : `${digits(perSecond / 1e6)} MB/s`;
}

export const mebibytes = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
