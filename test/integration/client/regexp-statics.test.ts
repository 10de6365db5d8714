/**
 * No regular expression runs over a prompt, an answer or an API key: `RegExp.$_` and its kin keep the last text that
 * matched, for whoever asks. In a process of its own, since jest's modules have a `RegExp` apart from Node's.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { routerKeyFile } from "../../support/router-key.js";

interface Found {
  readonly control: { readonly statics: number; readonly inputs: number };
  readonly statics: readonly string[];
  readonly inputs: readonly string[];
  readonly looks: number;
  readonly answered: number;
}

test("client, router (echo and upstream) and createSecureFetch leave no secret in RegExp", () => {
  const key = routerKeyFile();
  try {
    const output = execFileSync(process.execPath, [join(__dirname, "regexp-statics.cjs"), key.path], {
      encoding: "utf8",
    });
    const found = JSON.parse(output) as Found;
    // The search finds what is there, and looked while all four were at work.
    expect(found.control.statics).toBeGreaterThan(0);
    expect(found.control.inputs).toBe(1);
    expect(found.answered).toBe(4);
    expect(found.looks).toBeGreaterThan(60);
    expect(found.inputs).toEqual([]);
    expect(found.statics).toEqual([]);
  } finally {
    key.remove();
  }
});
