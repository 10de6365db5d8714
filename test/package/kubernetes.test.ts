/**
 * Manifests, in deploy/ and in the proxy's page, by the types of Kubernetes' own API description: what is misspelt is
 * found.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { parseAllDocuments } from "yaml";

const root = join(__dirname, "../..");
const folder = join(root, "deploy/kubernetes");

interface Manifest {
  readonly kind?: string;
  readonly apiVersion?: string;
}
/** As Kubernetes reads it: YAML 1.1, in which 0440 is octal. */
const parse = (text: string): Manifest[] =>
  parseAllDocuments(text, { version: "1.1", uniqueKeys: true }).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Manifest;
  });
const modules: Readonly<Record<string, string>> = { "apps/v1": "apps/v1", v1: "core/v1" };

/** What the compiler says of the values as what their kinds are; a part of a pod is said to be one. */
function complaints(manifests: readonly Manifest[]): string[] {
  // In the checkout, so that the compiler finds the types.
  const work = mkdtempSync(join(root, "build/kubernetes-"));
  try {
    const file = join(work, "manifests.ts");
    const typed = manifests.map(({ kind, apiVersion, ...rest }, at) => {
      const value = JSON.stringify({ ...(kind === undefined ? {} : { kind, apiVersion }), ...rest }, null, 1);
      const type =
        kind === undefined
          ? 'import("kubernetes-types/core/v1").PodSpec'
          : `import("kubernetes-types/${modules[apiVersion!] ?? "unknown"}").${kind}`;
      return `export const manifest${at}: ${type} = ${value};`;
    });
    writeFileSync(file, typed.join("\n"));
    const program = ts.createProgram([file], { noEmit: true, strict: true, types: [], skipLibCheck: true });
    return ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  } finally {
    rmSync(work, { recursive: true });
  }
}

const files = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), "utf8") }));
const page = readFileSync(join(root, "docs/proxy.md"), "utf8");
const shown = /```yaml\n(initContainers:[^]*?)```/.exec(page)![1]!;

test("are what Kubernetes says that they are", () => {
  expect(files.length).toBeGreaterThanOrEqual(2);
  expect(complaints([...files.flatMap(({ text }) => parse(text)), ...parse(shown)])).toEqual([]);
});

test.each<[string, string, string]>([
  ["a member that there is not", "allowPrivilegeEscalation", "allowPrivilegeEscalations"],
  ["a number for a word", "restartPolicy: Always", "restartPolicy: 1"],
])("%s would be found", (_, from, to) => {
  expect(shown).toContain(from);
  expect(complaints(parse(shown.replace(from, to)))).toHaveLength(1);
});

interface Pod {
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly { readonly name: string }[];
}
interface Container {
  readonly volumeMounts?: readonly { readonly name: string }[];
}
test("a deployment selects its own pods, and these mount what they have", () => {
  const deployments = files.flatMap(({ text }) => parse(text)).filter(({ kind }) => kind === "Deployment");
  expect(deployments.length).toBeGreaterThanOrEqual(2);
  for (const deployment of deployments) {
    const { selector, template } = (
      deployment as {
        spec: { selector: { matchLabels: object }; template: { metadata: { labels: object }; spec: Pod } };
      }
    ).spec;
    expect(template.metadata.labels).toMatchObject(selector.matchLabels);
    const { initContainers = [], containers, volumes = [] } = template.spec;
    const mounted = [...initContainers, ...containers].flatMap(({ volumeMounts = [] }) => volumeMounts);
    expect(new Set(mounted.map(({ name }) => name))).toEqual(new Set(volumes.map(({ name }) => name)));
  }
});
