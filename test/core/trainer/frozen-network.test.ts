/** Features of files of weights against timm's (test/fixtures/weights/make_fixtures.py). */
import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runSchema } from "../../../core/config/schema.ts";
import { FeatureExtractor } from "../../../core/trainer/features.ts";
import {
  openFrozenNetwork,
  type FrozenNetwork,
  type FrozenNetworkOptions,
} from "../../../core/trainer/frozen-network.ts";
import { fixturePath, golden, goldenImages } from "../weights/fixtures.ts";
import { coded, distance } from "./tiny.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const train = runSchema.shape.train.parse({ epochs: 1, batchSize: 1, engine: "eager", backend: "cpu" });

async function withNetwork<T>(
  options: Omit<FrozenNetworkOptions, "train">,
  body: (network: FrozenNetwork) => Promise<T>,
): Promise<T> {
  const network = await openFrozenNetwork({ train, backbone: { numHeads: 2 }, ...options });
  try {
    return await body(network);
  } finally {
    network.close();
  }
}

async function featuresOf(network: FrozenNetwork, size = network.size) {
  const extractor = new FeatureExtractor(network, { size, batchSize: 2 });
  const images = goldenImages(size);
  const patches: number[] = [];
  for await (const batch of extractor.patches(images)) patches.push(...batch.patches);
  return { cls: (await extractor.pooled(images)).data, patches };
}

describe("a frozen network", () => {
  const folder = temporaryFolder();

  for (const [name, { size, cls, patches }] of Object.entries(golden.features)) {
    it(`of ${name} has timm's features`, async () => {
      await withNetwork({ weights: fixturePath(name) }, async (network) => {
        assert.equal(network.size, size);
        assert.equal(network.name, name.startsWith("dino") ? `teacher of ${name}` : name);
        const features = await featuresOf(network);
        assert.ok(distance(features.cls, cls) < 1e-5, "class tokens");
        assert.ok(distance(features.patches, patches) < 1e-5, "patch tokens");
      });
    });
  }

  it("is the student where that is asked for", async () => {
    const weights = fixturePath("dino.pth");
    const [teacher, student] = [
      await withNetwork({ weights }, featuresOf),
      await withNetwork({ weights, network: "student" }, featuresOf),
    ];
    assert.ok(distance(teacher.cls, student.cls) > 0.1);
  });

  it("has the positions of the size that is asked for, and sees images of any", async () => {
    const weights = fixturePath("timm.safetensors");
    const backbone = { numHeads: 2, imageSize: 24 };
    await withNetwork({ weights, backbone }, async (network) => {
      assert.deepEqual(
        [network.size, network.match.resized],
        [24, [{ name: "backbone.pos_embed", from: 4, to: 6 }]],
      );
      assert.equal((await featuresOf(network)).patches.length, 2 * 36 * 16);
    });
    await withNetwork({ weights }, async (network) => {
      assert.equal((await featuresOf(network, 8)).patches.length, 2 * 4 * 16);
    });
  });

  it("takes heads and normalisation from the config.json beside it, unless they are given", async () => {
    copyFileSync(fixturePath("timm.safetensors"), join(folder(), "model.safetensors"));
    const said = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
    const config = { model_args: { num_heads: 4 }, pretrained_cfg: said };
    writeFileSync(join(folder(), "config.json"), JSON.stringify(config));
    await withNetwork({ weights: folder(), backbone: {} }, (network) => {
      assert.deepEqual([network.config.numHeads, network.normalisation], [4, said]);
      return Promise.resolve();
    });
    await withNetwork({ weights: folder(), mean: [0, 0, 0] }, (network) => {
      assert.deepEqual([network.config.numHeads, network.normalisation.mean], [2, [0, 0, 0]]);
      return Promise.resolve();
    });
    await assert.rejects(
      openFrozenNetwork({ weights: folder(), train, mean: [0] }),
      coded("CONFIG_INVALID", "data.mean: expected one number for each of the 3 channels"),
    );
  });

  it("starts anew as a run of that seed does, and has the file's values again", async () => {
    await withNetwork({ weights: fixturePath("timm.safetensors") }, async (network) => {
      const before = await featuresOf(network);
      await network.initialize(1);
      const random = await featuresOf(network);
      await network.initialize(2);
      assert.ok(distance((await featuresOf(network)).cls, random.cls) > 1e-3);
      await network.load();
      assert.ok(distance(random.cls, before.cls) > 0.1);
      assert.equal(distance((await featuresOf(network)).cls, before.cls), 0);
    });
  });

  it("is refused where its parts would be left out, or its sizes make none", async () => {
    const weights = fixturePath("timm.safetensors");
    const open = (backbone: FrozenNetworkOptions["backbone"]) =>
      openFrozenNetwork({ weights, train, backbone });
    await assert.rejects(open({}), coded("WEIGHTS_MISMATCH", "width of 16"));
    await assert.rejects(
      open({ numHeads: 2, depth: 1 }),
      coded("WEIGHTS_MISMATCH", "no part for: blocks.1."),
    );
    await assert.rejects(
      open({ numHeads: 2, depth: 3 }),
      coded("WEIGHTS_MISMATCH", "missing: backbone.blocks.2."),
    );
    await assert.rejects(open({ numHeads: 3 }), coded("CONFIG_INVALID", "backbone.numHeads"));
  });
});
