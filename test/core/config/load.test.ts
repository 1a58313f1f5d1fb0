import assert from "node:assert/strict";
import { join } from "node:path";
import { loadConfig } from "../../../core/config/load.ts";
import { parseConfig } from "../../../core/config/parse.ts";
import { tempFolder } from "./temp-folder.ts";

const expected = { seed: 3, train: { lr: 5e-4 }, plugins: ["dino", { use: "./own.ts" }] };

describe("loadConfig", () => {
  const folder = tempFolder();

  const formats: [name: string, content: string][] = [
    ["run.yaml", "seed: 3\ntrain: { lr: 5.0e-4 }\nplugins:\n  - dino\n  - use: ./own.ts\n"],
    [
      "schema.json",
      '{ "$schema": "./relata.schema.json", "seed": 3, "train": { "lr": 5e-4 }, "plugins": ["dino", { "use": "./own.ts" }] }',
    ],
    ["run.yml", "seed: 3\ntrain: { lr: 5e-4 }\nplugins: [dino, { use: ./own.ts }]\n"],
    [
      "run.json",
      '{\n\t"seed": 3,\n\t"train": { "lr": 0.0005 },\n\t"plugins": ["dino", { "use": "./own.ts" }]\n}\n',
    ],
    [
      "run.ts",
      'const seed: number = 3;\nexport default { seed, train: { lr: 5e-4 }, plugins: ["dino", { use: "./own.ts" }] };\n',
    ],
    ["run.mjs", 'export default { seed: 3, train: { lr: 5e-4 }, plugins: ["dino", { use: "./own.ts" }] };\n'],
    ["run.js", 'export default { seed: 3, train: { lr: 5e-4 }, plugins: ["dino", { use: "./own.ts" }] };\n'],
  ];
  for (const [name, content] of formats) {
    it(`reads ${name}`, async () => {
      const { config, baseDir } = await loadConfig(folder.write(name, content));
      assert.deepEqual(config, expected);
      assert.equal(baseDir, folder.path);
    });
  }

  it("reads a TypeScript config that imports others", async () => {
    folder.write("parts/train.ts", "export const train: { lr: number } = { lr: 5e-4 };\n");
    const file = folder.write(
      "imports.ts",
      'import { train } from "./parts/train.ts";\nexport default { seed: 3, train, plugins: ["dino", { use: "./own.ts" }] };\n',
    );
    assert.deepEqual((await loadConfig(file)).config, expected);
  });

  it("says line and column of a mistake in YAML", async () => {
    const file = folder.write("broken.yaml", "seed: 3\ntrain: { lr: 1, epochs: 2\nplugins: []\n");
    await assert.rejects(loadConfig(file), {
      code: "CONFIG_SYNTAX",
      message: /broken\.yaml:3:1: .*flow map/i,
    });
  });

  it("says line and column of a mistake in JSON", async () => {
    const file = folder.write("broken.json", '{\n  "seed": 3,\n  "train": { "epochs": 3 "lr": 1 }\n}\n');
    await assert.rejects(loadConfig(file), { code: "CONFIG_SYNTAX", message: /broken\.json:3:24: / });
  });

  it("refuses a key that is written twice", async () => {
    const file = folder.write("twice.yaml", "seed: 1\nname: a\nseed: 2\n");
    await assert.rejects(loadConfig(file), { code: "CONFIG_SYNTAX", message: /twice\.yaml:3:1: .*unique/ });
  });

  it("names a file that is not there, and one like it", async () => {
    folder.write("emoji.yaml", "seed: 1");
    const missing = join(folder.path, "emojy.yaml");
    await assert.rejects(loadConfig(missing), {
      code: "CONFIG_MISSING",
      message: /emojy\.yaml\. .*"emoji\.yaml"/,
    });
    await assert.rejects(loadConfig(join(folder.path, "no/such.yaml")), { code: "CONFIG_MISSING" });
  });

  it("refuses other kinds of files", async () => {
    const file = folder.write("run.toml", "seed = 1");
    await assert.rejects(loadConfig(file), { code: "CONFIG_FORMAT", fix: /\.yaml, \.yml, \.json, \.ts/ });
  });

  it("says what failed in a TypeScript config", async () => {
    const throws = folder.write("throws.ts", 'throw new Error("no such photo");\nexport default {};\n');
    await assert.rejects(loadConfig(throws), { code: "CONFIG_LOAD", message: /throws\.ts .*no such photo/ });
    const syntax = folder.write("syntax.ts", "export default { seed: };\n");
    await assert.rejects(loadConfig(syntax), { code: "CONFIG_LOAD", message: /syntax\.ts:1:23/ });
    const nothing = folder.write("nothing.ts", "export const config = {};\n");
    await assert.rejects(loadConfig(nothing), { code: "CONFIG_LOAD", message: /no default export/ });
  });

  it("leaves an empty file to the schema", async () => {
    const { config, baseDir } = await loadConfig(folder.write("empty.yaml", "# nothing yet\n"));
    assert.throws(() => parseConfig(config, baseDir), { code: "CONFIG_INVALID", message: /got null/ });
  });
});
