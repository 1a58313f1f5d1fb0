import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { runJsonSchema } from "../../../core/config/json-schema.ts";
import { builtinPlugins, builtins } from "../../../registry/builtins.ts";

const recipes = new URL("../../../benchmarks/recipes/", import.meta.url);

describe("the JSON Schema of configs", () => {
  let validate: (config: unknown) => boolean;
  before(async () => {
    const schema = runJsonSchema(await builtinPlugins());
    validate = new Ajv2020({ strict: false }).compile(schema);
  });

  for (const file of readdirSync(recipes)) {
    it(`accepts the recipe ${file}`, () => {
      const config = parse(readFileSync(new URL(file, recipes), "utf8"), { merge: true }) as unknown;
      assert.equal(validate(config), true, JSON.stringify((validate as { errors?: unknown }).errors));
    });
  }

  const run = (changes: object) => ({
    data: { path: "./photos" },
    train: { epochs: 1, batchSize: 2 },
    plugins: ["multi-crop"],
    ...changes,
  });

  it("accepts plugins by name, path and package, with options or without, and its own address", () => {
    const plugins = [
      ...Object.keys(builtins),
      { use: "dino", with: { weight: 1.65 } },
      { use: "./mine.ts", with: { anything: [1] } },
      { use: "@acme/relation" },
    ];
    assert.equal(validate(run({ plugins, $schema: "./relata.schema.json" })), true);
  });

  for (const [what, changes] of [
    ["a key that there is not", { trian: {} }],
    ["an option of another type", { train: { epochs: "1", batchSize: 2 } }],
    ["a missing key", { train: { epochs: 1 } }],
    ["a plugin's option that there is not", { plugins: [{ use: "dino", with: { weigth: 1 } }] }],
    ["a plugin's option out of range", { plugins: [{ use: "ibot", with: { maskRatio: 2 } }] }],
    ["no plugins", { plugins: [] }],
  ] as const) {
    it(`refuses ${what}`, () => assert.equal(validate(run(changes)), false));
  }
});
