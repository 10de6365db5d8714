export default {
  mode: "production",
  target: "node20",
  entry: "./main.mjs",
  experiments: { outputModule: true },
  externalsType: "module",
  externals: [/^nomyo-native(\/|$)/],
  output: { path: new URL("out", import.meta.url).pathname, filename: "main.mjs", module: true },
};
