/** @type {import("jest").Config} */
module.exports = {
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  // scripts/prebuild works there, on whole copies of the repository.
  modulePathIgnorePatterns: ["<rootDir>/.cache/prebuild"],
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type: "commonjs" } },
    ],
  },
  moduleNameMapper: { "^(\\.{1,2}/.*)\\.js$": "$1" },
  collectCoverageFrom: ["lib/**/*.ts", "!lib/**/*.mts"],
  // Ends what hangs, on any machine: nothing is judged by how long it takes.
  testTimeout: 300_000,
  maxWorkers: 2,
};
