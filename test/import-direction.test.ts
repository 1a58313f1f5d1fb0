import { RuleTester, type Rule } from "eslint";
import { fileURLToPath } from "node:url";

const rule = new URL("../scripts/import-direction.mjs", import.meta.url);
const { importDirection } = (await import(rule.href)) as { importDirection: Rule.RuleModule };

const inFile = (file: string, code: string) => ({
  code,
  filename: fileURLToPath(new URL(`../${file}`, import.meta.url)),
});

new RuleTester().run("import-direction", importDirection, {
  valid: [
    inFile(
      "core/math/gelu.ts",
      `import { x } from "./normalize.ts"; import * as tf from "@tensorflow/tfjs-core";`,
    ),
    inFile("core/vit/vit.ts", `import { x } from "../math/gelu.ts"; import { y } from "../backbone.ts";`),
    inFile("core/trainer/train.ts", `export * from "../vit/vit.ts"; const x = 1; export { x };`),
    inFile(
      "plugins/dino/index.ts",
      `import { x } from "./loss.ts"; import { y } from "../../core/plugin.ts";`,
    ),
    inFile("registry/builtins.ts", `import("../plugins/dino/index.ts");`),
    inFile("cli/load-run.ts", `import { x } from "../registry/resolve.ts";`),
    inFile("test/core/random.test.ts", `import { x } from "../../cli/table.ts"; import(x);`),
  ],
  invalid: [
    inFile("core/math/gelu.ts", `import { x } from "../errors.ts";`),
    inFile("core/vit/vit.ts", `import { x } from "../trainer/step.ts";`),
    inFile("core/trainer/train.ts", `import { x } from "../../plugins/dino/loss.ts";`),
    inFile("core/trainer/train.ts", `export * from "../../registry/resolve.ts";`),
    inFile("core/trainer/train.ts", `import("../../cli/main.ts");`),
    inFile("plugins/dino/index.ts", `import { x } from "../../core/math/gelu.ts";`),
    inFile("plugins/dino/index.ts", `import { x } from "../multi-crop/index.ts";`),
    inFile("registry/builtins.ts", `import { x } from "../cli/table.ts";`),
    inFile("cli/load-run.ts", `import { x } from "../plugins/dino/index.ts";`),
    inFile("index.ts", `import { x } from "./cli/program.ts";`),
    inFile("examples/own.ts", `import { x } from "../test/support/engines.ts";`),
  ].map((test) => ({ ...test, errors: [{ messageId: "wrongWay" }] })),
});
