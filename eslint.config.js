import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import importX from "eslint-plugin-import-x";
import ts from "typescript-eslint";

/** Which folders the files of a folder may not import from: imports go one way. */
const direction = [
  // cli -> registry -> plugins -> core/plugin.ts -> core
  { target: "./core", from: ["./plugins", "./registry", "./cli", "./index.ts"] },
  { target: "./plugins", from: ["./registry", "./cli", "./index.ts"] },
  { target: "./registry", from: ["./cli", "./index.ts"] },
  { target: "./cli", from: ["./index.ts"] },
  { target: "./index.ts", from: ["./cli"] },
  // Only tests know of tests.
  { target: "./{core,plugins,registry,cli,benchmarks,examples}/**/*", from: ["./test"] },
  // A plugin sees what its author in another package would see.
  { target: "./plugins", from: "./core", except: ["./plugin.ts", "./testing"] },
  // These run in a browser too.
  { target: "./core/vit", from: "./core", except: ["./vit", "./math", "./backbone.ts"] },
  { target: "./core/math", from: "./core", except: ["./math"] },
];

export default defineConfig(
  globalIgnores(["dist", "runs", "test/fixtures"]),
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [ts.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_$", argsIgnorePattern: "^_" }],
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowArray: true, allowBoolean: true, allowNullish: true, allowNumber: true },
      ],
      // tfjs's ops give a tensor of the rank that is asked for, which the rule takes for a needless assertion.
      "@typescript-eslint/no-unnecessary-type-assertion": "off",
      "no-restricted-properties": [
        "error",
        { object: "Math", property: "random", message: "Draw from core/random.ts: runs must repeat." },
      ],
      eqeqeq: "error",
    },
  },
  {
    files: ["**/*.ts"],
    plugins: { "import-x": importX },
    settings: { "import-x/resolver-next": [importX.createNodeResolver({ extensions: [".ts", ".js"] })] },
    rules: { "import-x/no-restricted-paths": ["error", { zones: direction }] },
  },
  {
    files: ["core/{math,vit}/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            { regex: "^(?!\\.|@tensorflow/tfjs-core$)", message: "This code runs in a browser too." },
          ],
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: { "@typescript-eslint/require-await": "off", "@typescript-eslint/unbound-method": "off" },
  },
  {
    files: ["**/*.{js,mjs,cjs}"],
    languageOptions: { globals: { process: "readonly", console: "readonly", URL: "readonly" } },
  },
  {
    files: ["bin/*.js", "**/*.cjs"],
    languageOptions: {
      sourceType: "commonjs",
      globals: { require: "readonly", module: "writable", exports: "writable", __dirname: "readonly" },
    },
    rules: { "@typescript-eslint/no-require-imports": "off" },
  },
);
