import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import ts from "typescript-eslint";
import { importDirection } from "./scripts/import-direction.mjs";

export default defineConfig(
  globalIgnores(["dist", "docs/api", "runs", "test/fixtures", "core/data/assembly"]),
  js.configs.recommended,
  { rules: { eqeqeq: "error" } },
  {
    files: ["**/*.ts"],
    extends: [ts.configs.recommended],
    plugins: { relata: { rules: { "import-direction": importDirection } } },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "relata/import-direction": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_$", argsIgnorePattern: "^_" }],
      // Of the rules that need types, those that find mistakes which the strict compiler does not: each costs seconds.
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/only-throw-error": "error",
      "@typescript-eslint/require-await": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "no-restricted-properties": [
        "error",
        { object: "Math", property: "random", message: "Draw from core/random.ts: runs must repeat." },
      ],
    },
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
    rules: { "@typescript-eslint/require-await": "off" },
  },
  {
    files: ["**/*.{js,mjs,cjs}"],
    languageOptions: { globals: { process: "readonly", console: "readonly", URL: "readonly" } },
  },
  {
    files: ["bin/*.js", "**/*.cjs"],
    languageOptions: {
      sourceType: "commonjs",
      globals: { require: "readonly", exports: "writable", __dirname: "readonly" },
    },
  },
);
