/**
 * The entry for `import`: the same objects as for `require`. A second build of the code would have classes of its own,
 * and `instanceof` would fail between a library that requires this package and an application that imports it.
 *
 * What is here makes its types. The build writes its JavaScript, which has the same names (scripts/build-ts.mjs).
 */
export * from "./index.js";
