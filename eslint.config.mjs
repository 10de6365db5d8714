import js from "@eslint/js";
import { globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";
import { arrows } from "./scripts/lint-arrows.mjs";

export default tseslint.config(
  globalIgnores(["build/", "dist/", "coverage/", "prebuilds/", "test/vectors/"]),
  js.configs.recommended,
  {
    files: ["lib/**/*.{ts,mts}", "test/**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/prefer-promise-reject-errors": "off",
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_", argsIgnorePattern: "^_" }],
      eqeqeq: "error",
    },
  },
  {
    // Silent by default: nothing on the console inside the library. The command line writes to its own streams.
    files: ["lib/**/*.{ts,mts}"],
    plugins: { arrows },
    rules: { "no-console": "error", "arrows/downwards": "error", "arrows/owners": "error" },
  },
  {
    // One dialect: types are imported for themselves. (Where lines end: test/package/lines.test.ts.)
    files: ["lib/**/*.{ts,mts}", "test/**/*.ts"],
    plugins: { arrows },
    rules: {
      "arrows/types-apart": "error",
      "@typescript-eslint/consistent-type-imports": ["error", { disallowTypeAnnotations: false }],
    },
  },
  {
    // Numbers and words at the top of a file in lib/ are in capitals.
    files: ["lib/**/*.{ts,mts}"],
    rules: {
      "@typescript-eslint/naming-convention": [
        "error",
        {
          selector: "variable",
          modifiers: ["const", "global"],
          types: ["boolean", "number", "string"],
          format: ["UPPER_CASE"],
        },
      ],
    },
  },
  {
    // Prompts, answers and API keys pass through lib/, and what a regular expression matched last stays in RegExp.$_
    // for whoever asks. So none runs there but in these files, none of which sees any of the three:
    files: ["lib/**/*.{ts,mts}"],
    ignores: [
      "lib/attestation/**", // quotes, policies and certificates, which are public
      "lib/native-loader.ts", // names and heads of files, what the system says of them
      "lib/keys/atomic-file.ts", // names of files
      "lib/http/fetch-transport.ts", // codes of errors
      "lib/keys/known-servers.ts", // lines of the file of known servers
      "lib/client/retry.ts", // the header Retry-After
      "lib/http/transport.ts", // codes of errors
      "lib/http/error-kind.ts", // names of errors
      "lib/router/options.ts", // certificates
      "lib/router/payload-binding.ts", // payload ids
      "lib/cli/arguments.ts", // numbers on the command line
      "lib/cli/attest.ts", // PCRs and qualifying data
      "lib/cli/doctor.ts", // versions
      "lib/cli/fix-commands.ts", // names of units, accounts and distributions
      "lib/cli/machine-facts.ts", // /proc/self/status
      "lib/cli/router.ts", // a handle and a rate on the command line
    ],
    rules: {
      "no-restricted-syntax": [
        "error",
        ...[
          "Literal[regex]",
          "NewExpression[callee.name='RegExp']",
          "CallExpression[callee.name='RegExp']",
          // With a string too: these make a regular expression of it.
          "CallExpression[callee.property.name=/^(match|matchAll|search)$/]",
        ].map((selector) => ({
          selector,
          message:
            "No regular expression where secrets pass: RegExp.$_ keeps the last text that matched. Scan the string.",
        })),
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/unbound-method": "off",
    },
  },
  {
    // A function that cannot be split has a reason beside it (test/package/functions.test.ts). A test file is one long
    // `describe`.
    files: ["**/*.{ts,mts,js,cjs,mjs}"],
    ignores: ["test/**/*.test.ts"],
    rules: { "max-lines-per-function": ["error", { max: 60, skipComments: true, skipBlankLines: true }] },
  },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.{js,cjs,mjs}"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        Buffer: "readonly",
        module: "writable",
        require: "readonly",
        __dirname: "readonly",
        fetch: "readonly",
        URL: "readonly",
        TextDecoder: "readonly",
        TextEncoder: "readonly",
        performance: "readonly",
        setTimeout: "readonly",
        clearTimeout: "readonly",
        setImmediate: "readonly",
        AbortController: "readonly",
        structuredClone: "readonly",
        AbortSignal: "readonly",
        crypto: "readonly",
        Response: "readonly",
        Request: "readonly",
      },
    },
  },
);
