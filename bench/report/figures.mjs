// Figures as people read them: three significant digits.

const digits = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** @param {number} value in milliseconds */
export function milliseconds(value) {
  if (Math.abs(value) < 0.001) return `${digits(value * 1e6)} ns`;
  if (Math.abs(value) < 1) return `${digits(value * 1000)} µs`;
  return value < 1000 ? `${digits(value)} ms` : `${digits(value / 1000)} s`;
}

/** How many times as fast, or as much. */
export const ratio = (value) =>
  `${value >= 99.5 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ×`;

/** How much more a ratio says. */
export const percentOver = (value) => `${value >= 1 ? "+" : "−"}${Math.abs((value - 1) * 100).toFixed(1)} %`;
