/** The recipes of benchmarks/recipes, which are also the presets. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { loadConfig } from "../../../core/config/load.ts";
import { applyOverrides } from "../../../core/config/overrides.ts";
import { parseConfig } from "../../../core/config/parse.ts";
import { findPreset, presetNames } from "../../../core/config/presets.ts";
import { resolvePlugins } from "../../../registry/resolve.ts";

async function recipe(name: string) {
  const { config } = await loadConfig(findPreset(name));
  const run = parseConfig(applyOverrides(config, ["data.path=photos"]), "/base");
  return { run, plugins: await resolvePlugins(run.plugins, "/base") };
}

/** The comment that a recipe starts with, without its hashes. */
function headOf(name: string): string[] {
  const lines = readFileSync(findPreset(name), "utf8").split("\n");
  return lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith("#")),
  );
}

describe("presets", () => {
  it("are the recipes of benchmarks/recipes", () => {
    const names = presetNames();
    const files = readdirSync(dirname(findPreset(names[0]!)));
    assert.deepEqual(files.map((file) => basename(file, ".yaml")).sort(), names);
    for (const name of ["dino-emoji", "ibot-vit-small", "sere-emoji", "sere-small", "sere-vit-small"])
      assert.ok(names.includes(name), name);
  });

  for (const name of presetNames()) {
    it(`${name} is a valid run with valid plugins, and its head says what it is`, async () => {
      const { run, plugins } = await recipe(name);
      assert.equal(run.name, name);
      assert.equal(plugins.length, run.plugins.length);

      const head = headOf(name);
      assert.match(head[0]!, /^# (DINO|iBOT|SERE)\b.{20,}\.$/);
      for (const field of ["Paper", "Command", "Cost", "Expected"]) {
        const lines = head.filter((line) => line.startsWith(`# ${field}:`));
        assert.equal(lines.length, 1, `${name} says its ${field} once`);
        assert.match(lines[0]!.slice(`# ${field}:`.length), /^ +\S/);
      }
      const line = (field: string) => head.find((text) => text.startsWith(`# ${field}:`))!;
      assert.match(line("Paper"), /https:\/\/arxiv\.org\/abs\/\d{4}\.\d{5}$/);
      assert.match(line("Command"), new RegExp(`--preset ${name}\\b(?!-)`));
    });
  }

  it("of SERE weigh the four losses with 4 in all, as the official code does", async () => {
    const names = presetNames().filter((name) => name.startsWith("sere-"));
    assert.ok(names.length >= 4);
    for (const name of names) {
      const { plugins } = await recipe(name);
      const weights = plugins
        .filter(({ definition }) => definition.manifest.name !== "multi-crop")
        .map(({ options }) => (options as { weight: number }).weight);
      assert.equal(weights.length, 4, name);
      const sum = weights.reduce((total, weight) => total + weight, 0);
      assert.ok(Math.abs(sum - 4) < 1e-12, `${name}: ${weights.join(" + ")}`);
    }
  });

  it("are found by name", () => {
    assert.match(findPreset("sere-emoji"), /sere-emoji\.yaml$/);
    assert.throws(() => findPreset("dino-emojis"), {
      code: "PRESET_UNKNOWN",
      message: /Did you mean "dino-emoji"\?/,
    });
    assert.throws(() => findPreset("constructor"), {
      code: "PRESET_UNKNOWN",
      fix: /dino-emoji, dino-vit-small/,
    });
    assert.throws(() => findPreset("../recipes/sere-emoji"), { code: "PRESET_UNKNOWN" });
  });

  it("ask for the path of a folder", async () => {
    const { config } = await loadConfig(findPreset("sere-small"));
    assert.throws(() => parseConfig(config, "/base"), { message: /data\.path/ });
  });
});
