/** The types, as the compiler judges them. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const folder = join(__dirname, "..", "..", "types");

it.each(readdirSync(folder))("test/types/%s compiles", (name) => {
  const config = ts.readConfigFile(join(folder, "..", "..", "tsconfig.json"), (path) => ts.sys.readFile(path));
  const { options } = ts.convertCompilerOptionsFromJson(
    (config.config as { compilerOptions: object }).compilerOptions,
    folder,
  );
  const program = ts.createProgram([join(folder, name)], { ...options, noEmit: true, types: ["node"] });
  const messages = ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  expect(messages).toEqual([]);
  expect(program.getSourceFile(join(folder, name))).toBeDefined();
});
