/** Masks from a plugin's cells to the rows of a step, and inputs of varying size. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { SamplerContext } from "../../../core/contexts.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { maskedRows } from "../../../core/trainer/mask-rows.ts";
import { makeEngine } from "../../support/engines.ts";
import {
  at,
  coded,
  declares,
  globalViews,
  learnsOnes,
  localViews,
  onStudent,
  outputsOf,
  tinyBatch,
  tinyTraining,
} from "./tiny.ts";

/** Cells of `count` masked patches, spread over `patches`. */
const spread = (count: number, patches: number) =>
  Uint8Array.from({ length: patches }, (_, i) => Number((i * 7) % patches < count));

describe("maskedRows", () => {
  it("has the masked cells' indices in order, then -1", () => {
    assert.deepEqual([...maskedRows([0, 1, 0, 0, 1, 1, 0, 0], 1, 8)], [1, 4, 5, -1]);
    assert.deepEqual([...maskedRows([0, 0.5, 0, 2], 1, 2)], [1, 3]);
  });

  it("of one image is a quarter, half, three quarters or the whole of the most", () => {
    const sizes = [0, 1, 5, 6, 10, 11, 15, 16, 20].map(
      (count) => maskedRows(spread(count, 29), 1, 20).length,
    );
    assert.deepEqual(sizes, [5, 5, 5, 10, 10, 15, 15, 20, 20]);
    const odd = [0, 3, 4, 6, 7, 9, 10].map((count) => maskedRows(spread(count, 29), 1, 10).length);
    assert.deepEqual(odd, [3, 3, 6, 6, 9, 9, 10]);
  });

  it("has at most four sizes, at least one row, and every masked cell, whatever the capacity", () => {
    for (let capacity = 1; capacity <= 40; capacity++) {
      const sizes = new Set<number>();
      for (let count = 0; count <= capacity; count++) {
        const rows = maskedRows(spread(count, 41), 1, capacity);
        assert.ok(rows.length >= 1 && rows.length >= count && rows.length <= capacity);
        assert.equal(rows.filter((row) => row >= 0).length, count);
        sizes.add(rows.length);
      }
      assert.ok(sizes.size <= 4, `capacity ${capacity}: ${[...sizes].join()}`);
    }
  });

  it("has finer sizes the more images there are, up to 16", () => {
    const steps = (images: number) => {
      const sizes = Array.from(
        { length: images * 10 + 1 },
        (_, count) => maskedRows(spread(count, images * 20), images, 10).length,
      );
      return new Set(sizes).size;
    };
    assert.deepEqual([1, 4, 9, 36, 64, 100].map(steps), [4, 4, 6, 12, 16, 16]);
  });
});

describe("masks in a step", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

  const views = [globalViews, localViews];
  /** 2 views x 2 samples x 4 patches. */
  const PATCHES = 16;

  /** A method whose global views have these cells, and whose masks are outputs. */
  const masking = (cells: (context: SamplerContext) => ArrayLike<number>, most = 4) =>
    onStudent("masks", { cls: true }, (hooks, pass, setup) => {
      const mask = setup.mask("global", { most, sample: cells });
      hooks.loss.tap("masks", (losses, step) => {
        losses.add("masks", 1, tf.mean(step.output(pass).clsToken));
        const { cells, rows, used } = step.masked(mask)!;
        assert.deepEqual(cells.shape, [4, 4]);
        losses.metric("cells", cells);
        losses.metric("rows", rows);
        losses.metric("used", used);
      });
    });

  it("are the cells, the masked rows, and which of them are used", async () => {
    const cells = [1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1];
    const training = await tinyTraining(engine, [masking(() => cells)], { views });
    const outputs = await outputsOf(training);
    const metric = (name: string) => [...(outputs[`metric/masks.${name}`] as Float32Array)];
    assert.deepEqual(metric("cells"), cells);
    assert.deepEqual(metric("rows"), [0, 3, 9, 10, 11, 15, 0, 0]);
    assert.deepEqual(metric("used"), [1, 1, 1, 1, 1, 1, 0, 0]);
    const again = training.maskCells("global", tinyBatch(training), at(0));
    assert.deepEqual(again, cells);
    assert.equal(training.maskCells("local", tinyBatch(training), at(0)), undefined);
  });

  it("of nothing are one program of unused rows", async () => {
    const training = await tinyTraining(engine, [masking(() => new Uint8Array(PATCHES))], { views });
    const outputs = await outputsOf(training);
    assert.deepEqual([...outputs["metric/masks.cells"]!], new Array<number>(PATCHES).fill(0));
    assert.deepEqual([...outputs["metric/masks.used"]!], [0, 0, 0, 0]);
  });

  it("are drawn by step, sample and view, not by the micro-batch", async () => {
    const drawn = new Map<string, number>();
    const sample = ({ indices, random, step }: SamplerContext) => {
      for (const index of indices) {
        const key = `${step} ${index}`;
        const value = random(index, 0).uniform();
        assert.equal(drawn.get(key) ?? value, value);
        drawn.set(key, value);
      }
      return new Uint8Array(PATCHES);
    };
    const training = await tinyTraining(engine, [masking(sample)], { views });
    for (const [step, key] of [
      [0, 0],
      [0, 0],
      [1, 0],
      [0, 1],
    ] as const)
      // prettier-ignore
      await training.step("train", tinyBatch(training, key), at(step));
    assert.equal(new Set(drawn.values()).size, 6);
  });

  it("have one owner for each view group", async () => {
    const masks = (name: string, group: string) =>
      declares(name, (setup) => {
        setup.mask(group, { most: 1, sample: () => [] });
      });
    await assert.rejects(
      tinyTraining(engine, [masks("first", "global"), masks("second", "global")], { views }),
      coded("MASK_CONFLICT", '"first"', '"second"', '"global"'),
    );
    const [other, third] = [await makeEngine("eager on cpu"), await makeEngine("eager on cpu")];
    await tinyTraining(other, [learnsOnes, masks("first", "global"), masks("second", "local")], { views });
    await assert.rejects(
      tinyTraining(third, [masks("first", "huge")], { views }),
      coded("VIEW_GROUP_MISSING", '"first"', '"huge"'),
    );
    other.close();
    third.close();
  });

  it("are refused with a wrong number of cells, and with more masked than was declared", async () => {
    const refused = async (cells: ArrayLike<number>, most: number, ...words: string[]) => {
      const own = await makeEngine("eager on cpu");
      const training = await tinyTraining(own, [masking(() => cells, most)], { views });
      const step = training.step("train", tinyBatch(training), at(0));
      await assert.rejects(step, coded("MASK_INVALID", '"masks"', '"global"', ...words));
      own.close();
    };
    await refused(new Uint8Array(PATCHES + 1), 4, "17 cells for 16 patches");
    await refused([], 4, "0 cells for 16 patches");
    await refused(spread(9, PATCHES), 2, "3 patches of an image, of at most 2");
    // 8 of 16 is what 2 of each image allow.
    const half = Array.from({ length: PATCHES }, (_, i) => Number(i % 4 < 2));
    const training = await tinyTraining(engine, [masking(() => half, 2)], { views });
    assert.ok((await training.step("train", tinyBatch(training), at(0))).finite);
  });
});

describe("inputs of varying size", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("captured");
  });
  afterEach(() => engine.close());

  /** The rows' mean is a loss; `sizes` has the number of rows by step. */
  const summing = (rows: (step: number) => Float32Array) =>
    onStudent("summing", { cls: true }, (hooks, pass, setup) => {
      const points = setup.input("points", { shape: [null, 3], sample: ({ step }) => rows(step) });
      hooks.loss.tap("summing", (losses, step) => {
        losses.add("summing", 1, tf.mean(step.output(pass).clsToken));
        const given = step.value(points);
        losses.metric("sum", tf.sum(given));
        losses.metric("rows", tf.scalar(given.shape[0]!));
      });
    });

  it("are a program for each number of rows, captured once", async () => {
    const rows = [2, 4, 2, 4, 1];
    const training = await tinyTraining(engine, [
      summing((step) => new Float32Array(3 * rows[step]!).fill(step + 1)),
    ]);
    const captured: number[] = [];
    for (const [step, count] of rows.entries()) {
      const { scalars } = await training.step("train", tinyBatch(training), at(step), () =>
        captured.push(step),
      );
      assert.equal(scalars["metric/summing.rows"], count);
      assert.equal(scalars["metric/summing.sum"], 3 * count * (step + 1));
    }
    assert.deepEqual(captured, [0, 1, 4]);
  });

  it("are refused where they are no whole number of rows, or none", async () => {
    for (const length of [4, 0]) {
      const own = await makeEngine("eager on cpu");
      const training = await tinyTraining(own, [summing(() => new Float32Array(length))]);
      await assert.rejects(
        training.step("train", tinyBatch(training), at(0)),
        coded("INPUT_ROWS", '"summing.points"', `${length} values`, "rows of 3"),
      );
      own.close();
    }
  });
});
