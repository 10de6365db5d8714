/** native/README.md is a map: it must show every room's every file, and no file that is not there. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const native = join(__dirname, "../../native");
const text = readFileSync(join(native, "README.md"), "utf8");
const rooms = readdirSync(join(native, "core"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => `core/${entry.name}`)
  .concat("addon");
/** Files of one system only stand beside the one that has a row. */
const [, systems] = /\nset\(NOMYO_SYSTEMS ([a-z ]+)\)/.exec(readFileSync(join(native, "CMakeLists.txt"), "utf8"))!;
const ofOneSystem = new RegExp(`_(${systems!.replaceAll(" ", "|")})$`);

describe.each(rooms)("native/README.md on %s", (room) => {
  const start = text.indexOf(`\n### ${room}`);
  const end = text.indexOf("\n#", start + 1);
  const named = new Set([...text.slice(start, end).matchAll(/`([\w.]+)`/g)].map((match) => match[1]!));
  const files = new Set(readdirSync(join(native, room)).map((file) => file.replace(/\.(h|cc)$/, "")));

  test("names every file", () => {
    expect(start).toBeGreaterThan(0);
    const missing = [...files].filter(
      (file) => !named.has(file) && !named.has(`${file}.cc`) && !ofOneSystem.test(file),
    );
    expect(missing).toEqual([]);
  });

  test("names nothing that is not there", () => {
    const known = (name: string) =>
      files.has(name.replace(/\.cc$/, "")) ||
      /^(_\w+|required|preferred|off|public|memfd_secret|mlock|VirtualLock|Init|JSON)/.test(name);
    expect([...named].filter((name) => !known(name))).toEqual([]);
  });
});
