/** Dense evaluation of runs: folders with masks, emoji, and what is refused. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { evenlySpaced } from "../../../core/data/dataset.ts";
import { openEmoji } from "../../../core/data/emoji.ts";
import { alphaMasks, loadMasks } from "../../../core/data/masks.ts";
import { loadCentered } from "../../../core/data/evaluation.ts";
import { denseTask } from "../../../core/eval/dense.ts";
import { Evaluator } from "../../../core/eval/evaluator.ts";
import { RawPixels } from "../../../core/eval/raw-pixels.ts";
import { assemble } from "../../../core/trainer/assemble.ts";
import { makeEvaluator } from "../../../core/trainer/evaluate.ts";
import { IMAGES, pictureFolder, resolved, tinyConfig, tinyDino, views, type TinyConfig } from "./runs.ts";

/** A white disc on black, of the picture's size. */
async function saveMask(path: string, i: number): Promise<void> {
  const [width, height] = [20 + i, 30 - i];
  const data = Uint8Array.from({ length: width * height }, (_, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    return Math.hypot(x - width / 2, y - height / 2) < 7 ? 255 : 0;
  });
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await sharp(data, { raw: { width, height, channels: 1 } }).png().toBuffer()); // prettier-ignore
}

describe("dense evaluation of a run", () => {
  const base = pictureFolder();

  async function evaluate(config: TinyConfig) {
    const warnings: string[] = [];
    const logger = { info: () => {}, warn: (message: string) => void warnings.push(message) };
    const numbers = { engine: "eager", backend: "cpu" } as const;
    const assembly = await assemble(
      tinyConfig({ ...config, train: numbers }),
      [views, tinyDino].map(resolved),
      { baseDir: base(), checkpoints: "", logger },
    );
    try {
      await assembly.training.initialize();
      const evaluator = await makeEvaluator(assembly);
      await evaluator.measureUntrained();
      const evaluation = await evaluator.evaluate();
      return { ...evaluation, untrained: evaluator.untrained, warnings };
    } finally {
      assembly.engine.close();
    }
  }

  const dense = (results: Awaited<ReturnType<typeof evaluate>>["results"]) =>
    results.filter(({ card }) => card.masks !== undefined);

  before(async () => {
    for (let i = 0; i < IMAGES; i++) {
      const path = `${i % 2 === 0 ? "even" : "odd"}/${i}.png`;
      if (i < 8) await saveMask(join(base(), "most", path), i);
      if (i < 1) await saveMask(join(base(), "one", path), i);
    }
  });

  it("on a folder with masks fits to every other image that has one, and tells of the others", async () => {
    const { results, scalars, untrained, segmentation, warnings } = await evaluate({
      evaluation: { dense: { masks: join(base(), "most") } },
    });
    assert.deepEqual(
      dense(results).map(({ card }) => [card.task, card.bank, card.queries, card.masks]),
      ["linear patch probe", "PCA foreground", "attention foreground"].map((task) => [
        task,
        "one half of images, 4",
        "other half of images, 4",
        "masks in most",
      ]),
    );
    assert.deepEqual(untrained, scalars, "nothing was trained in between");
    const values = dense(results).flatMap(({ figures }) => figures.map(({ value }) => value));
    assert.equal(values.length, 4);
    assert.ok(values.every((value) => value >= 0 && value <= 1));
    assert.equal(segmentation!.found.length, 4);
    assert.deepEqual(warnings, [
      "2 of 10 images have no mask (masks in most): dense evaluation leaves them out",
    ]);
  });

  it("is bounded by the config's limit", async () => {
    const { results } = await evaluate({ evaluation: { limit: 2, dense: { masks: join(base(), "most") } } });
    const { bank, queries } = dense(results)[0]!.card;
    assert.deepEqual([bank, queries], ["one half of images, 1", "other half of images, 1"]);
  });

  it("takes two masks", async () => {
    const only = (masks: string) => evaluate({ evaluation: { dense: { masks: join(base(), masks) } } });
    await assert.rejects(only("one"), { code: "MASKS_MISSING", message: /1 of 10 images have a mask/ });
    await assert.rejects(only("images/odd/1.png"), { code: "MASKS_FOLDER" });
    await assert.rejects(evaluate({ evaluation: { dense: { masks: "alpha" } } }), { code: "MASKS_UNIFORM" });
  });

  it("of a folder is left out unless asked for, of emoji unless asked not to", async () => {
    assert.deepEqual(dense((await evaluate({})).results), []);
    const emoji = { data: { dataset: "emoji", limit: 24 } } as const;
    const { results } = await evaluate(emoji);
    assert.deepEqual(
      dense(results).map(({ card }) => [card.bank, card.queries, card.masks]),
      [1, 2, 3].map(() => ["Google emoji, 12", "Twitter emoji, 12", "alpha channel"]),
    );
    assert.deepEqual(dense((await evaluate({ ...emoji, evaluation: { dense: false } })).results), []);
  });

  it("of emoji by raw pixels finds most of what is not white, and misses what is", async () => {
    const dataset = await openEmoji();
    const size = 64;
    const set = async (name: string, all: readonly number[]) => {
      const indices = evenlySpaced(all, 150);
      const pixels = await loadCentered(dataset, indices, { size });
      const images = {
        name,
        pixels,
        count: indices.length,
        size,
        channels: 3,
        captions: indices.map(String),
      };
      return { images, masks: await loadMasks(alphaMasks, dataset, indices, { size }) };
    };
    const [fit, test] = [await set("Google", dataset.google), await set("Twitter", dataset.twitter)];
    const task = denseTask({ fit, test, masks: "alpha", crop: "whole", seed: 0 });
    const found = await new Evaluator([task], new RawPixels(8)).measure(new RawPixels(8));
    const share = test.masks.reduce((sum, value) => sum + value, 0) / test.masks.length;
    // Calling everything foreground has the IoU `share` on it and 0 on the background.
    assert.ok(share > 0.5 && share < 0.75, `${share}`);
    assert.ok(found["dense/foregroundIoU"]! > share + 0.1, `${found["dense/foregroundIoU"]}`);
    assert.ok(found["dense/miou"]! > 0.65 && found["dense/miou"]! < 0.9, `${found["dense/miou"]}`);
    assert.ok(!("dense/attentionIoU" in found));
  });
});
