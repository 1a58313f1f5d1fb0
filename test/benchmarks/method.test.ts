import assert from "node:assert/strict";
import { defaultSizes, methodConfig, methods, openMethod } from "../../benchmarks/method.ts";

describe("a method to measure", () => {
  it("is the method before, and something more", async () => {
    const plugins = await Promise.all(
      methods.map(async (method) => {
        const opened = await openMethod(
          methodConfig({ ...defaultSizes, method, arch: "vit-tiny", depth: 1 }),
        );
        opened.assembly.engine.close();
        return opened.plugins.map(({ definition }) => definition.manifest.name).sort();
      }),
    );
    assert.deepEqual(plugins, [
      ["dino", "multi-crop"],
      ["dino", "ibot", "multi-crop"],
      ["channel-relation", "dino", "ibot", "multi-crop", "pixel-relation"],
    ]);
  });

  it("has the sizes that were asked for, and noise of them", async () => {
    const sizes = {
      ...defaultSizes,
      arch: "vit-tiny",
      depth: 2,
      batch: 3,
      locals: 1,
      outDim: 64,
      maskRatio: 0.25,
    };
    const { assembly, batch, feeds, maskedPatches } = await openMethod(methodConfig(sizes));
    assert.equal(assembly.config.backbone.depth, 2);
    assert.deepEqual(
      Array.from(batch.pixels.values(), ({ length }) => length),
      [2 * 3 * 224 * 224 * 3, 1 * 3 * 96 * 96 * 3],
    );
    // Of 2 x 3 views of 14² patches; blocks meet the ratio to a few patches each.
    const wanted = 0.25 * 2 * 3 * 196;
    assert.ok(Math.abs(maskedPatches - wanted) < 0.1 * wanted, `${maskedPatches} of ${wanted} are masked`);
    const first = feeds();
    const again = feeds();
    for (const name of Object.keys(first)) assert.deepEqual(again[name], first[name], name);
    assembly.engine.close();
  });
});
