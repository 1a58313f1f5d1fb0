import assert from "node:assert/strict";
import { silentLogger } from "../../../core/logger.ts";
import type { ViewBatch } from "../../../core/data/pipeline.ts";
import type { PluginUse } from "../../../core/plugin.ts";
import { assemble, type Assembly } from "../../../core/trainer/assemble.ts";
import { RelationPictures } from "../../../core/trainer/relation-pictures.ts";
import { definePlugin, tf, z } from "../../../core/plugin.ts";
import ibot from "../../../plugins/ibot/index.ts";
import multiCrop from "../../../plugins/multi-crop/index.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import { pictureFolder, resolved, tinyConfig, tinyDino } from "./runs.ts";

const sizes = { outDim: 16, hiddenDim: 16, bottleneckDim: 8 };
const never = { p: 0 };
const plain = { jitter: never, grayscale: never, blur: never, solarise: never };
const views = multiCrop({
  globalCrops: { size: 16, count: 2, scale: [0.5, 1] },
  localCrops: { count: 0 },
  colour: { firstGlobal: plain, otherGlobals: plain, local: plain },
});

/** Relates patches by one feature: 1 in the first patch of each view, 0 in the others. */
const first = definePlugin(
  { name: "first", api: "^1", summary: "made by a test", options: z.strictObject({}) },
  (hooks, { name }) =>
    hooks.relation.tap(name, (relations, { patchTokens }) => {
      const [batch, count] = patchTokens.shape;
      const one = tf.oneHot(tf.zeros([batch], "int32"), count) as tf.Tensor2D;
      relations.addBilinear(name, tf.expandDims(one, 2) as tf.Tensor3D, { axis: "token" });
    }),
)();

describe("RelationPictures", () => {
  const base = pictureFolder();

  async function withRun<T>(
    method: readonly PluginUse[],
    use: (assembly: Assembly) => Promise<T>,
  ): Promise<T> {
    const numbers = { engine: "eager", backend: "cpu", batchSize: 6 } as const;
    const assembly = await assemble(tinyConfig({ train: numbers }), [views, ...method].map(resolved), {
      baseDir: base(),
      checkpoints: "",
      logger: silentLogger,
    });
    await assembly.training.initialize();
    try {
      return await use(assembly);
    } finally {
      assembly.engine.close();
    }
  }

  it("shows overlapping samples, the same point of the picture in both views, and light from 0 to 1", async () => {
    await withRun([tinyDino, pixelRelation()], async (assembly) => {
      const samples = await new RelationPictures(assembly, 3).sample();
      const pipeline = assembly.pipeline();
      const batch = (await pipeline.batches(0).next()).value as ViewBatch;
      await pipeline.close();
      assert.equal(samples.length, 3);
      for (const { name, relation, points } of samples) {
        const b = [...batch.indices].findIndex((index) => assembly.dataset.item(index).id === name);
        assert.equal(relation, "pixel-relation");
        assert.equal(points.length, 3);
        for (const { teacher, student } of points) {
          const inPicture = [teacher, student].map(({ point }, view) => {
            const row = view * assembly.run.batchSize + b;
            const [x, y, w, h, flip] = [...batch.rects.get("global")!.subarray(5 * row, 5 * row + 5)] as [
              number,
              number,
              number,
              number,
              number,
            ];
            return [x + w * (flip === 1 ? 1 - point!.x : point!.x), y + h * point!.y];
          });
          for (const i of [0, 1]) assert.ok(Math.abs(inPicture[0]![i]! - inPicture[1]![i]!) < 1e-3);
          for (const { light, image } of [teacher, student]) {
            assert.deepEqual([light!.rows, light!.columns, image.width, image.height], [2, 2, 16, 16]);
            const cells = Array.from(light!.cells);
            assert.deepEqual([Math.min(...cells), Math.max(...cells)], [0, 1]);
          }
        }
      }
    });
  });

  it("has most light where the relation says so", async () => {
    const samples = await withRun([tinyDino, first], (assembly) =>
      new RelationPictures(assembly, 6).sample(),
    );
    const lit = samples.flatMap(({ points }) => points.flatMap(({ teacher, student }) => [teacher, student]));
    for (const { light } of lit) {
      const cells = Array.from(light!.cells);
      // A point that sees nothing of the first patch relates to nothing.
      assert.ok(cells.join() === "1,0,0,0" || cells.join() === "0,0,0,0", cells.join());
    }
    assert.ok(lit.some(({ light }) => light!.cells[0] === 1));
  });

  it("masks nothing, and changes neither weights nor statistics", async () => {
    const method = [tinyDino, ibot({ ...sizes, maskRatio: 0.5, maskRatioVariation: 0 }), pixelRelation()];
    await withRun(method, async (assembly) => {
      const { training, engine } = assembly;
      const values = async () => (await engine.save(training.state.variables)).map((v) => v.slice());
      const before = await values();
      const pictures = new RelationPictures(assembly, 2);
      const samples = await pictures.sample();
      assert.deepEqual(await values(), before);
      // Without masks the student's relation does not depend on the mask token.
      const token = training.state.variables.find(({ name }) => name === "student/ibot.maskToken")!;
      await engine.load([[token, new Float32Array(token.size).fill(3)]]);
      assert.deepEqual(await pictures.sample(), samples);
    });
  });

  it("is empty without relations, and when no samples are asked for", async () => {
    assert.deepEqual(await withRun([tinyDino], (assembly) => new RelationPictures(assembly, 3).sample()), []);
    const none = await withRun([tinyDino, pixelRelation()], (assembly) =>
      new RelationPictures(assembly, 0).sample(),
    );
    assert.deepEqual(none, []);
  });
});
