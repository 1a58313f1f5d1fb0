import assert from "node:assert/strict";
import { applyOverrides } from "../../../core/config/overrides.ts";
import { parseConfig } from "../../../core/config/parse.ts";
import { definePlugin, z } from "../../../core/plugin.ts";

const own = definePlugin(
  { name: "own", api: "^1", summary: "", options: z.strictObject({ a: z.number().default(0) }) },
  () => {},
);
const config = {
  data: { dataset: "emoji" },
  train: { epochs: 10, batchSize: 8 },
  plugins: ["multi-crop", { use: "dino", with: { outDim: 64 } }, "./lib/my-relation.ts", own({ a: 1 })],
};
const override = (...overrides: string[]) =>
  applyOverrides(config, overrides) as typeof config & Record<string, unknown>;

describe("overrides", () => {
  it("sets values of any depth, in order, and reads them as YAML", () => {
    assert.deepEqual(override("train.epochs=50", "seed=1", "seed=2"), {
      ...config,
      seed: 2,
      train: { epochs: 50, batchSize: 8 },
    });
    const { train, data, name } = parseConfig(
      override(
        "train.adam.beta2=0.95",
        "train.clipGrad=null",
        "train.lr=2e-3",
        "data.mean=[0, 0.5, 1]",
        "name=a",
      ),
      "/base",
    );
    assert.deepEqual(
      [train.adam.beta2, train.clipGrad, train.lr, data.mean, name],
      [0.95, 0, 2e-3, [0, 0.5, 1], "a"],
    );
  });

  it("leaves the config itself alone", () => {
    const before = structuredClone({ train: config.train, plugins: config.plugins.slice(0, 3) });
    override("train.epochs=50", "plugins.dino.outDim=1");
    assert.deepEqual({ train: config.train, plugins: config.plugins.slice(0, 3) }, before);
  });

  it("addresses plugins by name, however they are listed", () => {
    const { plugins } = override(
      "plugins.multi-crop.localCrops.count=2",
      "plugins.dino.with.weight=0.5",
      "plugins.my-relation.on=true",
      "plugins.own.a=7",
    );
    assert.deepEqual(plugins, [
      { use: "multi-crop", with: { localCrops: { count: 2 } } },
      { use: "dino", with: { outDim: 64, weight: 0.5 } },
      { use: "./lib/my-relation.ts", with: { on: true } },
      { ...own({ a: 7 }) },
    ]);
  });

  it("refuses keys that do not exist", () => {
    assert.throws(() => override("train.epoch=5"), {
      code: "OVERRIDE_PATH",
      message: '--set train.epoch=5: there is no "epoch" in train. Did you mean "epochs"?',
    });
    assert.throws(() => override("trian.epochs=5"), {
      code: "OVERRIDE_PATH",
      message: /no "trian" in the config\. Did you mean "train"\?/,
    });
    assert.throws(() => override("train.lr.base=5"), {
      code: "OVERRIDE_PATH",
      message: /no "base" in train\.lr\.$/,
      fix: "train.lr holds a value, not further keys",
    });
  });

  it("refuses plugins that are not in the config", () => {
    assert.throws(() => override("plugins.dyno.weight=5"), {
      code: "OVERRIDE_PATH",
      message: /no "dyno" in plugins\. Did you mean "dino"\?/,
      fix: "use one of: multi-crop, dino, my-relation, own",
    });
  });

  it("refuses what is no key and value", () => {
    for (const text of ["train.epochs", "=5", ""]) {
      assert.throws(() => override(text), { code: "OVERRIDE_SYNTAX" }, text);
    }
    assert.throws(() => override("data.mean=[1, 2"), { code: "OVERRIDE_SYNTAX", message: /\[1, 2: / });
  });

  it("leaves wrong values to the schema", () => {
    assert.throws(() => parseConfig(override("train.epochs=many"), "/base"), {
      code: "CONFIG_INVALID",
      message: 'train.epochs: expected a number, got "many"',
    });
    const wrong = applyOverrides({ ...config, train: 5 }, ["train.epochs=1"]);
    assert.throws(() => parseConfig(wrong, "/base"), { message: "train: expected an object, got 5" });
  });
});
