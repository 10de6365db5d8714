/**
 * What documents promise to a reader is there: the rates of the trial key, what else sees a prompt, three pictures,
 * links on npm's page, what each client that people come from is called.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bystanders } from "../../lib/client/bystanders.js";
import { blocksOf } from "../support/document-blocks.js";

const root = join(__dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
/** As a reader sees it: without the ends of lines. */
const flat = (path: string): string => read(path).replace(/\s+/g, " ");

describe("the trial key", () => {
  const page = flat("docs/quick-start.md");

  test("is NOMYO's, with its model and what that holds", () => {
    expect(page).toMatch(/NOMYO itself publishes a key for trying[^]*Both are NOMYO's, not this package's/);
    expect(page).toContain("256 tokens of context");
    const commands = blocksOf("docs/quick-start.md").map(({ code }) => code);
    expect(commands.join("\n")).toContain(
      "export NOMYO_API_KEY=NOMYO_AI_E2EE_INFERENCE\nnpx nomyo-native chat --model Qwen/Qwen3-0.6B ",
    );
  });

  test("has two rates, both of which are stated, and how to keep to each", () => {
    expect(page).toContain("guide says two different things");
    expect(page).toMatch(
      /one request a second for each API key, and bursts of two: `rateLimit: \{ requestsPerSecond: 1, burst: 2 \}`/,
    );
    expect(page).toMatch(
      /two requests a second, and bursts of four: `rateLimit: \{ requestsPerSecond: 2, burst: 4 \}`/,
    );
    // The same as where the option is explained.
    for (const option of ["{ requestsPerSecond: 1, burst: 2 }", "{ requestsPerSecond: 2, burst: 4 }"])
      expect(flat("docs/configuration.md")).toContain(option);
    expect(page).toMatch(/429.*503 for 30 minutes/);
  });
});

describe("what else sees a prompt", () => {
  const page = read("docs/what-else-sees-your-prompt.md");
  /** All of them on, as far as variables and the global object can. */
  const on = {
    env: {
      OPENAI_LOG: "debug",
      DEBUG: "*",
      LANGSMITH_TRACING: "true",
      OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "true",
      DD_LLMOBS_ENABLED: "1",
      NODE_DEBUG: "http",
    },
    globals: { [Symbol.for("openai.agents.core.traceProvider")]: {}, AI_SDK_TELEMETRY_INTEGRATIONS: [{}] },
  };
  const found = bystanders(on);

  test("every variable and option that the logger's warnings name is on the page", () => {
    expect(found.length).toBe(8);
    const named = found.flatMap(({ sentence }) =>
      [...sentence.matchAll(/\b[A-Z]+_[A-Z_0-9]+\b|record[IO]\w+|\bset\w+/g)].map(String),
    );
    expect(named.length).toBeGreaterThan(12);
    expect(named.filter((name) => !page.includes(name))).toEqual([]);
  });

  test("each row of its tables has a switch", () => {
    const rows = [...page.matchAll(/^\| (?!what|-)(.*?) *\| (.*?) *\| (.*?) *\|$/gm)];
    expect(rows.length).toBeGreaterThan(15);
    for (const [, ...cells] of rows) for (const cell of cells) expect(cell).not.toBe("");
  });

  test("the program at its end looks for every variable that a warning is about", () => {
    const code = blocksOf("docs/what-else-sees-your-prompt.md")
      .map((block) => block.code)
      .join("\n");
    for (const name of Object.keys(on.env).filter((name) => name !== "DEBUG")) expect(code).toContain(`"${name}"`);
    for (const name of ["DISABLE_TRACING", "DONT_LOG_MODEL_DATA", "DONT_LOG_TOOL_DATA"])
      expect(code).toContain(`OPENAI_AGENTS_${name} = "1"`);
  });

  test.each(["README.md", "docs/README.md", "docs/quick-start.md"])("%s leads there", (path) => {
    expect(read(path)).toContain("what-else-sees-your-prompt.md)");
  });
});

describe("the pictures", () => {
  const page = read("docs/how-it-works.md");
  const pictures = blocksOf("docs/how-it-works.md").filter(({ language }) => language === "text");

  test("are three: a prompt's way, what is locked when, what a quote proves and what not", () => {
    expect([...page.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)).toEqual([
      "The way of a prompt",
      "What is locked, and when",
      "What a quote proves, and what not",
    ]);
    expect(pictures).toHaveLength(3);
    expect(pictures[0]!.code).toMatch(/locked memory[^]*HTTPS[^]*the quote is verified/);
    expect(pictures[1]!.code).toMatch(/made +in use +wiped[^]*NOT locked/);
    expect(pictures[2]!.code).toMatch(/PROVED, if it verifies +NOT PROVED/);
  });

  test("fit a terminal of 120 columns, and hold nothing that steers one", () => {
    for (const { code } of pictures) {
      expect(Math.max(...code.split("\n").map((line) => Array.from(line).length))).toBeLessThanOrEqual(120);
      expect(code).not.toMatch(/[^\P{C}\n]/u);
    }
  });
});

describe("the README on npm", () => {
  const onNpm = (repository: string | undefined): string => {
    const look = `import { npmReadme } from "./scripts/npm-readme.mjs";
      import { readFileSync } from "node:fs";
      const url = process.argv[1];
      const manifest = { version: "1.2.3", ...(url === undefined ? {} : { repository: { url } }) };
      process.stdout.write(npmReadme(readFileSync("README.md", "utf8"), manifest));`;
    const args = ["--input-type=module", "--eval", look, ...(repository === undefined ? [] : [repository])];
    return execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  };
  const targets = (text: string): string[] => [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
  const own = targets(read("README.md"));

  test.each(["git+https://forge.example/nomyo/native.git", "https://forge.example/nomyo/native"])(
    "has absolute links alone, to the version's files: %s",
    (repository) => {
      const linked = targets(onNpm(repository));
      expect(linked).toHaveLength(own.length);
      const expected = own.map((to) =>
        /^[a-z]+:/.test(to) || to.startsWith("#") ? to : `https://forge.example/nomyo/native/blob/v1.2.3/${to}`,
      );
      expect(linked).toEqual(expected);
      expect(linked.filter((to) => to.startsWith("https://forge.example/")).length).toBeGreaterThan(10);
    },
  );

  test("has names in their place while there is no repository, and no picture that lies beside it", () => {
    expect(targets(onNpm(undefined)).filter((to) => !/^(https:|#)/.test(to))).toEqual([]);
    expect(read("README.md")).not.toMatch(/!\[|<img/);
  });
});

test.each([
  ["secure_bytes", "enable_secure_memory", "disable_secure_memory"],
  ["nomyo4J", "nomyo-js"],
  ["LangChain", "LlamaIndex", "Agents", "@ai-sdk/openai", "/responses"],
])("the migration guide has %s", (...names) => {
  const page = read("docs/migration.md");
  for (const name of names) expect(page).toContain(name);
});

test("the guides, the questions, the symptoms, the words and the policy of upgrades are there", () => {
  const headings = (path: string): number => [...read(path).matchAll(/^#{2,3} |^\| [^|-]|^\*\*/gm)].length;
  const guides = read("docs/guides.md");
  for (const name of ["Express", "Fastify", "NestJS", "Worker threads", "Cluster", "vitest", "jest", "mutual TLS"])
    expect(guides).toContain(name);
  for (const page of ["faq", "troubleshooting", "glossary", "upgrading"])
    expect(headings(`docs/${page}.md`)).toBeGreaterThan(3);
  for (const symptom of ["MemoryProtectionError", "KEY_PERMISSIONS", "SIGSYS", "API key"])
    expect(read("docs/troubleshooting.md")).toContain(symptom);
});
