/**
 * What the package is built with: nothing at run time; each development package by its digest, under a licence that
 * is known; workflows pinned.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const root = join(__dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}
const lock = JSON.parse(read("package-lock.json")) as { packages: Record<string, Locked>; lockfileVersion: number };
const locked = Object.entries(lock.packages).filter(([path]) => path !== "");
const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string> | undefined>;

describe("the lock file", () => {
  test("holds each package by a SHA-512, from the registry that npm is set to, and no other place", () => {
    expect(lock.lockfileVersion).toBe(3);
    expect(locked.length).toBeGreaterThan(300);
    const wrong = locked.filter(
      ([path, { integrity, resolved, link }]) =>
        !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? "") ||
        resolved !== undefined ||
        link === true ||
        !/^(node_modules\/(@[\w.-]+\/)?[\w.-]+(\/|$))+$/.test(path),
    );
    expect(wrong).toEqual([]);
  });

  test("has what package.json asks for, for development alone", () => {
    expect(manifest["dependencies"]).toBeUndefined();
    expect(manifest["optionalDependencies"]).toBeUndefined();
    expect(locked.filter(([, { dev, devOptional }]) => dev !== true && devOptional !== true)).toEqual([]);
    for (const name of Object.keys(manifest["devDependencies"]!)) {
      expect([name, lock.packages[`node_modules/${name}`] === undefined]).toEqual([name, false]);
    }
    const elsewhere = Object.values(manifest["devDependencies"]!).filter((range) => !/^[~^]?\d+(\.\d+)*$/.test(range));
    expect(elsewhere).toEqual([]);
  });

  test("has two packages that run something when they are installed, and no third", () => {
    const names = locked.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path);
    expect(names).toEqual(["node_modules/@parcel/watcher", "node_modules/@swc/core"]);
  });

  test("has licences that let us build and test with them", () => {
    const known = new Set(
      "MIT ISC 0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause BlueOak-1.0.0 CC-BY-4.0 CC0-1.0 Python-2.0 AFL-2.1".split(" "),
    );
    const unknown = locked.filter(
      ([, { license }]) => !(license ?? "").split(/ (?:AND|OR) |[()]/).every((name) => name === "" || known.has(name)),
    );
    expect(unknown.map(([path]) => path)).toEqual([]);
    // Three do not say theirs in their manifest; their files do.
    const silent = locked.filter(([, { license }]) => license === undefined).map(([path]) => path);
    expect(silent.length).toBeLessThanOrEqual(3);
  });
});

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Record<string, unknown>;
}
interface Job {
  readonly permissions?: Record<string, string>;
  readonly "timeout-minutes"?: number;
  readonly steps: readonly Step[];
}
interface Workflow {
  readonly on: Record<string, unknown> | string | readonly string[];
  readonly permissions: Record<string, string>;
  readonly jobs: Record<string, Job>;
}
const workflows = readdirSync(join(root, ".github/workflows")).map(
  (name) => [name, parse(read(`.github/workflows/${name}`)) as Workflow] as const,
);

describe.each(workflows)("workflow %s", (_name, { on, permissions, jobs }) => {
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  test("starts with no permission, and each job names its own and ends in time", () => {
    expect(permissions).toEqual({});
    for (const job of Object.values(jobs)) {
      expect(job.permissions).toBeDefined();
      expect(job["timeout-minutes"]).toBeGreaterThan(0);
    }
  });

  test("is not started by others' code with our rights", () => {
    const events = typeof on === "string" ? [on] : Array.isArray(on) ? (on as string[]) : Object.keys(on);
    for (const event of ["pull_request_target", "workflow_run", "issue_comment"]) expect(events).not.toContain(event);
  });

  test("uses each action by its commit", () => {
    const used = steps.flatMap(({ uses }) => (uses === undefined || uses.startsWith("./") ? [] : [uses]));
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((action) => !/^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/.test(action))).toEqual([]);
  });

  test("lets no text that others write into a shell, and leaves no token in the checkout", () => {
    // An expression in a script is put into its text before a shell reads it.
    const fromOthers = /\$\{\{[^}]*\b(github\.(event|head_ref|actor|ref_name)|inputs)\b/;
    expect(steps.filter(({ run }) => run !== undefined && fromOthers.test(run))).toEqual([]);
    const checkouts = steps.filter(({ uses }) => uses?.startsWith("actions/checkout@") === true);
    for (const { with: given } of checkouts) expect(given?.["persist-credentials"]).toBe(false);
  });
});
