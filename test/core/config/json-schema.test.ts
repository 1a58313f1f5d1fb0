import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { z } from "zod";
import { runJsonSchema } from "../../../core/config/json-schema.ts";
import { builtinPlugins, builtins } from "../../../registry/builtins.ts";

type Options = { description?: string; properties?: Record<string, Options>; anyOf?: Options[] };

/** Paths of options, and of what is in them, that no description stands beside. */
function undescribed({ properties = {}, anyOf = [] }: Options, path = ""): string[] {
  const own = Object.entries(properties).flatMap(([key, option]) => [
    ...(option.description ? [] : [path + key]),
    ...undescribed(option, `${path}${key}.`),
  ]);
  return [...own, ...anyOf.flatMap((option) => undescribed(option, path))];
}

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

  for (const name of Object.keys(builtins)) {
    it(`knows the options of ${name}, each with a description, and refuses others`, async () => {
      const [plugin] = (await builtinPlugins()).filter(({ manifest }) => manifest.name === name);
      const options = z.toJSONSchema(plugin!.manifest.options, { io: "input", unrepresentable: "any" });
      assert.deepEqual(undescribed(options as Options), []);
      const having = (options: object) => run({ plugins: [{ use: name, with: options }] });
      assert.equal(validate(having({})), true);
      assert.equal(validate(having({ thereIsNone: 1 })), false);
    });
  }

  it("is what `relata schema` writes", () => {
    const folder = mkdtempSync(join(tmpdir(), "relata-schema-"));
    try {
      const file = join(folder, "own.json");
      const main = fileURLToPath(new URL("../../../cli/main.ts", import.meta.url));
      const program = ["--import", "tsx", "--conditions=relata-source", main];
      const child = spawnSync(process.execPath, [...program, "schema", "--out", file], { encoding: "utf8" });
      assert.equal(child.status, 0, child.stderr);
      const written = new Ajv2020({ strict: false }).compile(
        JSON.parse(readFileSync(file, "utf8")) as object,
      );
      assert.equal(written(run({})), true, JSON.stringify(written.errors));
      assert.equal(written(run({ plugins: [{ use: "lion", with: { beta3: 0 } }] })), false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
