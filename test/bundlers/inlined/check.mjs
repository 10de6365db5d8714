// Not external: the bundle is made, and says what is wrong when it runs.
const said = await import("./out/main.mjs").then(
  () => "nothing",
  (error) => error.message,
);
if (!said.includes("Mark nomyo-native external")) throw new Error(`it said: ${said}`);
