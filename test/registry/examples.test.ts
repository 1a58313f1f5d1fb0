import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../../core/config/load.ts";
import { parseConfig } from "../../core/config/parse.ts";
import { findPreset } from "../../core/config/presets.ts";
import { resolvePlugins } from "../../registry/resolve.ts";
import { globalViews, localViews, tinyBatch, tinyTraining, valuesOf } from "../core/trainer/tiny.ts";
import { makeEngine } from "../support/engines.ts";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../../examples");

async function resolved(file: string) {
  const { config, baseDir } = await loadConfig(file);
  const run = parseConfig(config, baseDir);
  return { run, plugins: await resolvePlugins(run.plugins, baseDir) };
}

describe("examples", () => {
  const configs = readdirSync(folder).filter((name) => /\.yaml$|-emoji\.ts$/.test(name));
  for (const name of configs) {
    it(`${name} is a valid run with valid plugins`, async () => {
      const { run, plugins } = await resolved(join(folder, name));
      assert.equal(plugins.length, run.plugins.length);
    });
  }

  it("sere-emoji.ts is the recipe of that name in TypeScript", async () => {
    const ts = await resolved(join(folder, "sere-emoji.ts"));
    const yaml = await resolved(findPreset("sere-emoji"));
    assert.equal(ts.plugins.length, 5);
    assert.deepEqual({ ...ts.run, plugins: [] }, { ...yaml.run, plugins: [] });
    assert.deepEqual(ts.plugins, yaml.plugins);
  });

  it("cosine-relation trains the backbone, from a file that imports relata/plugin", async () => {
    const [plugin] = await resolvePlugins([{ use: "./cosine-relation.ts", with: { weight: 0.5 } }], folder);
    const engine = await makeEngine("eager on cpu");
    const training = await tinyTraining(engine, [plugin!], { views: [globalViews, localViews] });
    const before = await valuesOf(training);
    const { finite, scalars } = await training.step("train", tinyBatch(training), { step: 1, epoch: 0.2 });
    const changed = [...(await valuesOf(training))].filter(([name, v]) =>
      v.some((x, i) => x !== before.get(name)![i]),
    );
    engine.close();
    assert.ok(finite);
    // Cross-entropy of 13 x 13 or 6 x 6 points is near log(169) or log(36), less for similarities that differ.
    const loss = scalars["loss/cosine-relation"]!;
    assert.ok(loss > 0.3 * Math.log(36) && loss < Math.log(169) + 0.1, `loss ${loss}`);
    assert.ok(changed.some(([name]) => name.startsWith("student/backbone.blocks.0.")));
  });
});
