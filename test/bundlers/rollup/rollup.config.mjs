export default {
  input: "main.mjs",
  external: [/^node:/, /^nomyo-native(\/|$)/],
  output: { file: "out/main.mjs", format: "es" },
};
