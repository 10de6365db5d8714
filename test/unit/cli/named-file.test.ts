/** A file that a flag names: read as far as a file of its kind can go, and no further. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readNamed } from "../../../lib/cli/named-file.js";
import { runCommand } from "../../support/command-line.js";

const folder = mkdtempSync(join(tmpdir(), "nomyo-named-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([0, 1, 64 * 1024, 64 * 1024 + 1, 200_000])("%i bytes come whole", async (size) => {
  const file = join(folder, "file");
  const content = Buffer.alloc(size, "abc");
  writeFileSync(file, content);
  expect((await readNamed("--x", file, 200_000)).equals(content)).toBe(true);
});

test("what is larger, also a device without an end, is refused", async () => {
  const file = join(folder, "large");
  writeFileSync(file, Buffer.alloc(1001));
  await expect(readNamed("--x", file, 1000)).rejects.toThrow(`The file ${file} is larger than 1000 bytes.`);
  await expect(readNamed("--x", "/dev/zero", 1000)).rejects.toThrow("The file /dev/zero is larger than 1000 bytes.");
});

test("what cannot be read is told with the reason", async () => {
  await expect(readNamed("--x", join(folder, "none"))).rejects.toMatchObject({
    option: "--x",
    message: expect.stringContaining("cannot be read (ENOENT: there is no such file or folder)"),
  });
  await expect(readNamed("--x", folder)).rejects.toThrow("(EISDIR: it is a folder)");
});

test.each([
  ["chat", "--policy"],
  ["proxy", "--config"],
])("%s %s ends at a device", async (command, flag) => {
  const { code, stderr } = await runCommand([command, flag, "/dev/zero", "hi"].slice(0, command === "chat" ? 4 : 3), {
    env: { NOMYO_API_KEY: "k" },
  });
  expect(code).toBe(2);
  expect(stderr).toMatch(/The file \/dev\/zero is larger than \d+ bytes/);
});

test("a file of a secret that is no text is told by its flag, as a mistake of the command", async () => {
  const file = join(folder, "api-key");
  writeFileSync(file, Buffer.from([0xff, 0xfe, 0x6b]), { mode: 0o600 });
  const { code, stderr } = await runCommand(["chat", "--api-key-file", file, "hi"]);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining("--api-key-file: the file is no text (UTF-8)."),
  });
});
