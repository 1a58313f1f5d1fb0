import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import ts from "typescript-eslint";
import { importDirection } from "./scripts/import-direction.mjs";

export default defineConfig(
  globalIgnores(["dist", "runs", "test/fixtures"]),
  js.configs.recommended,
  { rules: { eqeqeq: "error" } },
  {
    files: ["**/*.ts"],
    extends: [ts.configs.recommendedTypeChecked],
    plugins: { relata: { rules: { "import-direction": importDirection } } },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "relata/import-direction": "error",
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
    rules: {
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/unbound-method": "off",
      "no-restricted-properties": "off",
    },
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
