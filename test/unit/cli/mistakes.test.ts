/**
 * Mistakes of somebody impatient or careless: each is told at once, in a sentence that says what was expected, what was
 * found and what to type, never with a secret in it.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { native } from "../../../lib/native.js";
import { startProxy } from "../../../lib/proxy/index.js";
import { runCommand } from "../../support/command-line.js";
import { makeCertificates } from "../../support/certificates.js";

const folder = mkdtempSync(join(tmpdir(), "nomyo-mistakes-"));
const file = (name: string, content: string, mode = 0o600): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
};
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => jest.restoreAllMocks());

/** Nobody listens there, and nothing is asked of the network. */
const nowhere = ["--base-url", "http://127.0.0.1:9", "--allow-http"];
const key = "a-secret-key-0123456789";

test.each<[string, string[], RegExp]>([
  ["--version mistyped", ["--verson"], /no option '--verson' before the command\. Did you mean --version\?/],
  ["-v", ["-v"], /no option '-v'.* Did you mean --version\?/],
  ["version", ["version"], /no command "version"\. Did you mean --version\?/],
  [
    "an option before the command",
    ["--json", "chat"],
    /no option '--json' before the command\. The command comes first/,
  ],
  ["one letter for an option", ["chat", "-m", "x"], /Unknown option '-m'\. Did you mean --model or --max-tokens\?/],
  ["a mistyped option of demo", ["demo", "--hlep"], /Unknown option '--hlep'\. Did you mean --help\?/],
  ["a mistyped option of keys", ["keys", "generate", "--dri", "x"], /'--dri'\. Did you mean --dir\?/],
  ["a mistyped option of router", ["router", "--prot", "1"], /'--prot'\. Did you mean --port\?/],
  ["a mistyped option of proxy", ["proxy", "--polcy", "x"], /'--polcy'\. Did you mean --policy\?/],
  ["a mistyped option of doctor", ["doctor", "--fixx"], /'--fixx'\. Did you mean --fix\?/],
  ["a mistyped option of attest", ["attest", "verify", "--payloadid", "x"], /Did you mean --payload-id\?/],
  ["a mistyped option of receipt", ["receipt", "verify", "--haed", "x"], /'--haed'\. Did you mean --head\?/],
  ["a mistyped option of bench", ["bench", "--sise", "1024"], /'--sise'\. Did you mean --size\?/],
  ["a port as an argument", ["router", "8080"], /argument too many: here all but the options' values begin with --/],
  ["a negative time", ["chat", "--timeout", "-5", "hi"], /--timeout wants a value, .* --timeout=VALUE/],
  ["a negative time, joined", ["chat", "--timeout=-5", "hi"], /whole number of seconds, and not -5\./],
  ["a broken time", ["chat", "--timeout", "1.5", "hi"], /whole number of seconds, and not 1\.5\./],
  ["minutes", ["chat", "--timeout", "10m", "hi"], /whole number of seconds, and not 10m\./],
  ["no time at all", ["chat", "--timeout", "0", "hi"], /--timeout takes 1 to 2147483 seconds, and not 0\./],
  [
    "a time without end",
    ["proxy", "--timeout", "99999999"],
    /--timeout takes 1 to 2147483 seconds, and not 99999999\./,
  ],
  ["an option's value left out", ["chat", "--model"], /--model wants a value: --model VALUE/],
  ["a value for a switch", ["chat", "--json=yes", "hi"], /--json takes no value\./],
  [
    "an empty model",
    ["chat", "--model", "", "hi"],
    /--model wants a model's name, and got an empty one\. Without it: Qwen/,
  ],
  ["an empty prompt", ["chat", "  "], /The prompt is empty\./],
  [
    "no token",
    ["chat", ...nowhere, "--max-tokens", "0", "hi"],
    /--max-tokens takes a whole number, 1 or more, and not 0/,
  ],
  [
    "a host without a scheme",
    ["chat", "--base-url", "localhost:8443", "hi"],
    /https:\/\/, or with http:\/\/ and --allow-http/,
  ],
  ["a password without keys", ["chat", "--key-password-file", "x", "hi"], /--key-password-file needs --key-dir/],
  ["no keys to look at", ["keys", "show", "--dir", folder], /no private_key\.pem in the folder .*keys generate --dir/],
  ["no keys to check", ["keys", "check", "--dir", "/nonexistent"], /no private_key\.pem .*keys generate --dir/],
  ["an empty folder's name", ["keys", "generate", "--dir", ""], /--dir wants the folder of the keys, and got an empty/],
  [
    "an empty id",
    ["attest", "verify", join(__dirname, "../../../package.json"), "--payload-id", ""],
    /--payload-id wants the id .* got an empty one/,
  ],
  [
    "open to all without keys",
    ["router", "--host", "0.0.0.0"],
    /Give API keys \(--api-keys-file\), or set --allow-open/,
  ],
  ["the proxy open to all", ["proxy", "--host", "0.0.0.0"], /Give API keys \(--local-keys-file\), or set --allow-open/],
])("%s", async (_what, args, message) => {
  const { code, stdout, stderr } = await runCommand(args, { env: { NOMYO_API_KEY: key } });
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
  expect(stderr).not.toContain(key);
  expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
});

test("help NAME is NAME --help", async () => {
  expect(await runCommand(["help", "chat"])).toEqual(await runCommand(["chat", "--help"]));
});

test("what may be a secret is not repeated before the command either", async () => {
  const { stderr } = await runCommand([`--${key}`]);
  expect(stderr).toContain("There is no option before the command.");
  expect(stderr).not.toContain(key);
});

describe("an API key that is none", () => {
  test.each<[string, string, RegExp]>([
    ["two lines", `${key}\nanother\n`, /has 2 lines; expected is one API key/],
    ["an empty line", "\n", /holds an empty line; expected is one API key/],
    ["a blank", `abc ${key}`, /as its character 4; expected is one API key/],
    ["letters of another alphabet", "ключ", /as its character 1; expected/],
  ])("%s, in a file and in the environment", async (_what, content, found) => {
    const path = file("key", content);
    for (const command of [["chat", "hi"], ["proxy"]]) {
      const ofFile = await runCommand([...command, "--api-key-file", path]);
      expect(ofFile.stderr).toMatch(found);
      expect(ofFile.stderr).toContain(`--api-key-file: the file ${path} `);
      expect(ofFile.stderr).toContain("Leave only the key in it");
      const ofVariable = await runCommand(command, { env: { NOMYO_API_KEY: content } });
      expect(ofVariable.stderr).toMatch(found);
      expect(ofVariable.stderr).toContain("export NOMYO_API_KEY=KEY");
      for (const { code, stderr } of [ofFile, ofVariable]) {
        expect(code).toBe(2);
        expect(stderr).not.toContain(key);
      }
    }
  });

  test("one with a line's end is one", async () => {
    const { code } = await runCommand([
      "chat",
      ...nowhere,
      "--retries",
      "0",
      "--api-key-file",
      file("good", `${key}\n`),
      "hi",
    ]);
    expect(code).toBe(5);
  });

  test("of the upstream", async () => {
    const { stderr } = await runCommand([
      "router",
      "--upstream",
      "http://127.0.0.1:9",
      "--upstream-key-file",
      file("up", "a\nb\n"),
    ]);
    expect(stderr).toMatch(/--upstream-key-file: the file .* has 2 lines/);
  });
});

/** Of root, and open to all: what a person is told to do about it as root, he can do. */
describe("nobody is told to change the mode of a file of the system", () => {
  test.each<[string, string[]]>([
    ["a router's key", ["router", "--key-file", "/etc/passwd"]],
    ["a router's API keys", ["router", "--api-keys-file", "/etc/passwd"]],
    ["a password", ["router", "--key-password-file", "/etc/group"]],
    ["an API key", ["chat", "--api-key-file", "/etc/passwd", "hi"]],
    ["TLS", ["router", "--tls-cert", "/etc/passwd", "--tls-key", "/etc/passwd"]],
    ["a folder of receipts", ["proxy", "--receipts", "/tmp"]],
    ["a digest key", ["proxy", "--receipts", join(folder, "receipts"), "--receipt-key-file", "/etc/passwd"]],
    ["a kept plaintext", ["receipt", "verify", folder, "--digest-key", "/etc/passwd", "--plaintext", "/etc/passwd"]],
  ])("%s", async (_what, args) => {
    const { code, stderr } = await runCommand(args, { env: { NOMYO_API_KEY: key } });
    expect(stderr).toMatch(/It is among the system's own, whose modes others rely on: give one of your own/);
    expect(stderr).not.toMatch(/chmod|chown/);
    expect([2, 3]).toContain(code);
  });
});

describe("where nothing can be written", () => {
  const places = existsSync("/proc/version") ? ["/proc/x", "/proc/x/y", "/proc"] : [];
  test.each([...places, "/dev/null", "/dev/null/x"])("%s: keys generate says so, and makes no key", async (dir) => {
    const make = jest.spyOn(native, "generatePrivateKey");
    const { code, stderr } = await runCommand(["keys", "generate", "--dir", dir]);
    expect(stderr).toMatch(/(cannot be written to|cannot be made) .*\(E[A-Z]+: .*\)\. .*this account may write to/);
    expect(code).toBe(2);
    expect(make).not.toHaveBeenCalled();
  });

  test("a folder that has a key: before a password is asked for", async () => {
    mkdirSync(join(folder, "taken"));
    file("taken/private_key.pem", "somebody's");
    const { code, stderr } = await runCommand(["keys", "generate", "--dir", join(folder, "taken"), "--ask-password"], {
      input: () => undefined,
    });
    expect(stderr).toMatch(/There is a private key in .*taken already, and keys are never replaced/);
    expect(stderr).not.toContain("Password:");
    expect(code).toBe(2);
  });

  test("a public key alone is not replaced", async () => {
    mkdirSync(join(folder, "half"));
    file("half/public_key.pem", "somebody's");
    const { code, stderr } = await runCommand(["keys", "generate", "--dir", join(folder, "half")]);
    expect(stderr).toMatch(/public_key\.pem is there, but .*private_key\.pem is not/);
    expect(code).toBe(3);
    expect(readdirSync(join(folder, "half"))).toEqual(["public_key.pem"]);
  });

  test("a file as a folder is no private key that is there", async () => {
    const { stderr } = await runCommand(["keys", "generate", "--dir", file("plain", "")]);
    expect(stderr).toContain("(ENOTDIR: a part of the path is no folder)");
  });

  test.each([
    ["receipts", ["--receipts"], /Receipts cannot be written to the folder/],
    ["known servers", ["--known-servers"], /cannot be (written|read) \(/],
    ["keys", ["--key-dir"], /cannot be written to/],
  ])("the proxy does not start with %s there", async (_what, flags, message) => {
    for (const place of ["/dev/null/x/y", ...places.slice(1, 2)]) {
      const { code, stderr } = await runCommand(["proxy", ...flags, place], { env: { NOMYO_API_KEY: key } });
      expect(stderr).toMatch(message);
      expect(code).toBe(2);
    }
  });

  test("a folder as the file of known servers", async () => {
    const { code, stderr } = await runCommand(["proxy", "--known-servers", folder], { env: { NOMYO_API_KEY: key } });
    expect(stderr).toMatch(/cannot be read \(EISDIR: it is a folder\)/);
    expect(code).toBe(2);
  });

  test("a baseline", async () => {
    const pcrs = file("pcrs", `  sha256:\n    0 : 0x${"AB".repeat(32)}\n`);
    const { code, stderr } = await runCommand([
      "attest",
      "baseline",
      "--pcrread",
      pcrs,
      "--out",
      "/dev/null/policy.json",
    ]);
    expect(stderr).toMatch(/The policy cannot be written to .* \(ENOTDIR: a part of the path is no folder\)/);
    expect(code).toBe(2);
  });
});

describe("where nothing can listen", () => {
  test("a port that is taken", async () => {
    await using taken = await startProxy({ client: { apiKey: null, baseUrl: "http://127.0.0.1:9", allowHttp: true } });
    const { code, stderr } = await runCommand(["proxy", ...nowhere, "--port", `${taken.port}`]);
    expect(stderr).toContain(
      `Nothing can listen at 127.0.0.1, port ${taken.port} (EADDRINUSE: another program has this address). ` +
        "Choose another --port",
    );
    expect(code).toBe(1);
  });

  test("a name that there is not", async () => {
    // A label too long for DNS: nothing is asked of the network.
    const host = `${"a".repeat(64)}.example`;
    const { code, stderr } = await runCommand([
      "proxy",
      ...nowhere,
      "--host",
      host,
      "--allow-open",
      "--allow-plain-http",
    ]);
    expect(stderr).toContain(`--host ${host} is no address of this machine`);
    expect(code).toBe(2);
  });
});

describe("TLS", () => {
  const certificates = makeCertificates();
  afterAll(() => certificates.remove());

  test("a certificate that is none, a key that is none, another's, one under a password", async () => {
    const { cert, key: good } = certificates.server;
    const certFile = file("cert.pem", cert);
    const other = execFileSync("openssl", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const locked = execFileSync("openssl", ["pkey", "-aes256", "-passout", "pass:a password"], {
      encoding: "utf8",
      input: good,
    });
    for (const [pair, message] of [
      [[file("no", "no"), file("good.pem", good)], /--tls-cert|no is no certificate in PEM form/],
      [[certFile, file("no", "no")], /no is no private key in PEM form/],
      [[certFile, file("other.pem", other)], /other\.pem does not belong to the certificate in .*cert\.pem/],
      [[certFile, file("locked.pem", locked)], /locked\.pem is under a password.* openssl pkey -in OLD -out NEW/],
    ] as const) {
      for (const command of ["router", "proxy"]) {
        const { code, stderr } = await runCommand([command, "--tls-cert", pair[0], "--tls-key", pair[1]]);
        expect(stderr).toMatch(message);
        expect(stderr).not.toContain("no start line");
        expect(code).toBe(2);
      }
    }
  });
});

test("an unknown name in the proxy's file of options: the nearest", async () => {
  const { stderr } = await runCommand(["proxy", "--config", file("options.json", '{"prot": 8585}')]);
  expect(stderr).toMatch(/unknown option "prot"\. Did you mean "port"\?/);
});
