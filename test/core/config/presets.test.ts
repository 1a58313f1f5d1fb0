import assert from "node:assert/strict";
import { applyOverrides } from "../../../core/config/overrides.ts";
import { parseConfig } from "../../../core/config/parse.ts";
import { findPreset, presets } from "../../../core/config/presets.ts";
import { resolvePlugins } from "../../../registry/resolve.ts";

describe("presets", () => {
  for (const [name, { summary, config }] of Object.entries(presets)) {
    it(`${name} is a valid run with valid plugins`, async () => {
      assert.match(summary, /^\S.{20,110}$/);
      assert.equal(config.name, name);
      const resolved = parseConfig(applyOverrides(config, ["data.path=photos"]), "/base");
      const plugins = await resolvePlugins(resolved.plugins, "/base");
      assert.equal(plugins.length, config.plugins.length);
    });
  }

  it("are found by name", () => {
    assert.equal(findPreset("dino-emoji"), presets["dino-emoji"]);
    assert.throws(() => findPreset("dino-emojis"), {
      code: "PRESET_UNKNOWN",
      message: /Did you mean "dino-emoji"\?/,
    });
    assert.throws(() => findPreset("constructor"), { code: "PRESET_UNKNOWN", fix: /dino-emoji, dino-small/ });
  });

  it("ask for the path of a folder", () => {
    assert.throws(() => parseConfig(presets["dino-small"]!.config, "/base"), { message: /data\.path/ });
  });
});
