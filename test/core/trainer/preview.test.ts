import assert from "node:assert/strict";
import sharp from "sharp";
import { join } from "node:path";
import type { PluginUse } from "../../../core/plugin.ts";
import { silentLogger } from "../../../core/logger.ts";
import { assemble, type Assembly } from "../../../core/trainer/assemble.ts";
import { sampleViews } from "../../../core/trainer/preview.ts";
import ibot from "../../../plugins/ibot/index.ts";
import multiCrop from "../../../plugins/multi-crop/index.ts";
import { pictureFolder, resolved, tinyConfig, tinyDino, type TinyConfig } from "./runs.ts";
import { plugin } from "./tiny.ts";

const never = { p: 0 };
const noColour = { jitter: never, grayscale: never, blur: never, solarise: never };
const crops = { globalCrops: { size: 16, count: 2 }, localCrops: { size: 8, count: 3 } };

describe("sampleViews", () => {
  const base = pictureFolder();

  async function withRun<T>(
    config: TinyConfig,
    colour: object,
    use: (assembly: Assembly) => Promise<T>,
    method: PluginUse = tinyDino,
    more: readonly PluginUse[] = [],
  ): Promise<T> {
    const numbers = { engine: "eager", backend: "cpu", batchSize: 4, ...config.train } as const;
    const plugins = [multiCrop({ ...crops, colour }), ...more, method].map(resolved);
    const assembly = await assemble(tinyConfig({ ...config, train: numbers }), plugins, {
      baseDir: base(),
      checkpoints: "",
      logger: silentLogger,
    });
    try {
      return await use(assembly);
    } finally {
      assembly.engine.close();
    }
  }

  it("gives each sample with its views, their boxes within the picture", async () => {
    const samples = await withRun({}, {}, (assembly) => sampleViews(assembly, 3));
    assert.equal(samples.length, 3);
    for (const { name, source, views } of samples) {
      const { width, height } = await sharp(join(base(), "images", name)).metadata();
      assert.deepEqual([source.image.width, source.image.height], [width, height]);
      assert.equal(source.image.data.length, width * height * 3);
      assert.deepEqual(
        views.map(({ name, kind, image }) => [name, kind, image.width, image.height, image.data.length]),
        [
          ["global 1", "global", 16, 16, 768],
          ["global 2", "global", 16, 16, 768],
          ["local 1", "local", 8, 8, 192],
          ["local 2", "local", 8, 8, 192],
          ["local 3", "local", 8, 8, 192],
        ],
      );
      assert.deepEqual(
        source.boxes!.map(({ kind }) => kind),
        views.map(({ kind }) => kind),
      );
      for (const { x, y, width, height } of source.boxes!) {
        assert.ok(x >= 0 && y >= 0 && width > 0 && height > 0);
        assert.ok(x + width <= 1 + 1e-6 && y + height <= 1 + 1e-6);
      }
    }
    assert.equal(new Set(samples.map(({ name }) => name)).size, 3);
  });

  it("shows the pixels of the first batch, as they are without colour changes and changed with them", async () => {
    const colour = { firstGlobal: noColour, otherGlobals: noColour, local: noColour };
    for (const channels of [3, 1] as const) {
      await withRun({ data: { channels } }, colour, async (assembly) => {
        const pipeline = assembly.pipeline();
        const { value: batch } = await pipeline.batches(0).next();
        await pipeline.close();
        const samples = await sampleViews(assembly, 4);
        samples.forEach(({ views }, b) => {
          views.forEach(({ image, kind }, i) => {
            const view = kind === "global" ? i : i - 2;
            const bytes = image.width * image.height * channels;
            const from = (view * 4 + b) * bytes;
            const shown = batch!.pixels.get(kind)!.subarray(from, from + bytes);
            const inColour = image.data.map((_, j) => shown[channels === 3 ? j : Math.floor(j / 3)]!);
            assert.deepEqual(image.data, inColour);
          });
        });
      });
    }
    const one = (given: object) => withRun({}, given, (assembly) => sampleViews(assembly, 1));
    const [plain, coloured] = [await one(colour), await one({})];
    assert.deepEqual(coloured[0]!.source, plain[0]!.source);
    assert.notDeepEqual(coloured[0]!.views, plain[0]!.views);
  });

  it("shows what iBOT masks of the first step's global views, and of no others", async () => {
    const sizes = { outDim: 16, hiddenDim: 16, bottleneckDim: 8 };
    // 2 of the 2 x 2 patches of 16 pixels.
    const half = ibot({ ...sizes, maskShape: "random", maskRatio: 0.5, maskRatioVariation: 0 });
    await withRun(
      {},
      {},
      async (assembly) => {
        const samples = await sampleViews(assembly, 4);
        const pipeline = assembly.pipeline();
        const { value: batch } = await pipeline.batches(0).next();
        await pipeline.close();
        const cells = assembly.training.maskCells("global", batch!, { step: 0, epoch: 0 })!;
        samples.forEach(({ views }, b) => {
          views.forEach(({ kind, mask }, view) => {
            if (kind === "local") {
              assert.equal(mask, undefined);
              return;
            }
            const first = (view * 4 + b) * 4;
            const own = Array.from({ length: 4 }, (_, i) => cells[first + i]!);
            assert.deepEqual(mask, { rows: 2, columns: 2, cells: own });
            assert.equal(own.filter((cell) => cell !== 0).length, 2);
          });
        });
        const masks = samples.flatMap(({ views }) =>
          views.slice(0, 2).map(({ mask }) => Array.from(mask!.cells).join()),
        );
        assert.ok(new Set(masks).size > 1, "each view has its own");
      },
      half,
    );
    const plain = await withRun({}, {}, (assembly) => sampleViews(assembly, 1));
    assert.ok(
      plain[0]!.views.every(({ mask }) => mask === undefined),
      "nothing is masked without iBOT",
    );
  });

  it("shows auxiliary views too, without a box: nobody learns from them", async () => {
    const large = plugin("large", (hooks, name) => {
      hooks.views.tap(name, (views) => [
        { ...views[0]!, group: name, size: 32, sameCropAs: "global", auxiliary: true },
        ...views,
      ]);
    });
    await withRun(
      {},
      {},
      async (assembly) => {
        const [sample] = await sampleViews(assembly, 1);
        const { views, source } = sample!;
        const names = [1, 2].map((view) => `large ${view}`);
        assert.deepEqual(views.map(({ name }) => name).slice(0, 3), [...names, "global 1"]);
        assert.deepEqual([views[0]!.image.width, views[2]!.image.width], [32, 16]);
        const kinds = ["global", "global", "local", "local", "local"];
        assert.deepEqual(
          source.boxes!.map(({ kind }) => kind),
          kinds,
        );
        // The backbone is made for what methods learn from, and evaluated on it.
        const positions = assembly.training.declarations.variables.get("backbone.pos_embed")!;
        assert.deepEqual(positions.shape, [1, 5, 32]);
      },
      tinyDino,
      [large],
    );
  });

  it("gives no more samples than a micro-batch has, and none when none are asked for", async () => {
    await withRun({ train: { batchSize: 4, microBatch: 2 } }, {}, async (assembly) => {
      assert.equal((await sampleViews(assembly, 9)).length, 2);
      assert.deepEqual(await sampleViews(assembly, 0), []);
    });
  });
});
