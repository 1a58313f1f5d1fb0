import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runSchema } from "../../../core/config/schema.ts";
import { loadCentered } from "../../../core/data/evaluation.ts";
import { labelledSplit } from "../../../core/data/split.ts";
import { openImageFolder } from "../../../core/data/image-folder.ts";
import type { Extractor, Images } from "../../../core/eval/extractor.ts";
import type { EvaluationSubject } from "../../../core/trainer/evaluation-subject.ts";
import { CenteredImages } from "../../../core/trainer/centered-images.ts";
import { makePictures, tinyConfig } from "./runs.ts";
import { coded } from "./tiny.ts";

const SIZE = 16;

/** Whole images as features. */
class Pixels implements Extractor {
  readonly pooling = "pixels";
  passes = 0;

  async pooled({ pixels, count }: Images) {
    const dim = SIZE * SIZE * 3;
    return { data: Float32Array.from(pixels.subarray(0, count * dim)), count, dim };
  }

  async readouts(images: Images) {
    this.passes++;
    const pooled = await this.pooled(images);
    return { pooled, probe: pooled };
  }

  probing = () => this.pooling;
  patches = () => [];
}

describe("CenteredImages", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await makePictures();
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function open(mirrored = false) {
    const dataset = await openImageFolder(join(folder, "images"));
    const warnings: string[] = [];
    const subject = {
      config: runSchema.parse(tinyConfig()),
      dataset,
      size: SIZE,
      logger: { info: () => {}, warn: (message: string) => void warnings.push(message) },
    } as unknown as EvaluationSubject;
    const split = await labelledSplit(dataset, { seed: 1, testShare: 0.2 });
    const options = { probe: { blocks: 1, meanPatch: false }, mirrored };
    return {
      dataset,
      warnings,
      subject,
      part: split!.train,
      images: new CenteredImages(split!.train, subject, options),
    };
  }

  it("have the features of their centres, with labels and names, made once", async () => {
    const { dataset, images, part } = await open();
    const extractor = new Pixels();
    const told: string[] = [];
    const found = await images.features(extractor, (what) => told.push(what));
    assert.equal(await images.features(extractor, () => {}), found);
    assert.equal(extractor.passes, 1);
    const centres = await loadCentered(dataset, part.indices, { size: SIZE });
    assert.deepEqual(found.pooled.data, Float32Array.from(centres));
    assert.deepEqual(found.labels, part.labels);
    assert.deepEqual(
      found.ids,
      part.indices.map((i) => dataset.item(i).id),
    );
    assert.deepEqual(told, ["features of 80 % of each class of images, 0 of 8"]);
    assert.equal(found.mirrored, undefined);
  });

  it("have those of their mirror images where they are asked for", async () => {
    const { images } = await open(true);
    const { probe, mirrored } = await images.features(new Pixels(), () => {});
    const at = (data: Float32Array, image: number, y: number, x: number) =>
      data[((image * SIZE + y) * SIZE + x) * 3 + 1];
    for (const [image, y, x] of [
      [0, 0, 0],
      [3, 5, 2],
      [7, 15, 15],
    ] as const)
      assert.equal(at(mirrored!.data, image, y, x), at(probe.data, image, y, SIZE - 1 - x));
  });

  it("leave out what cannot be read, and say so", async () => {
    const { images, part, dataset, warnings } = await open(true);
    const broken = part.indices[2]!;
    await writeFile(dataset.item(broken).path, "no image");
    const { labels, ids, probe, mirrored } = await images.features(new Pixels(), () => {});
    const kept = part.indices.flatMap((index, i) => (index === broken ? [] : [i]));
    assert.deepEqual(
      ids,
      kept.map((i) => dataset.item(part.indices[i]!).id),
    );
    assert.deepEqual(
      labels,
      Int32Array.from(kept, (i) => part.labels[i]!),
    );
    assert.deepEqual([probe.count, mirrored!.count, probe.data.length], [7, 7, 7 * SIZE * SIZE * 3]);
    assert.match(warnings.join(), /1 of 8 images of 80 % of each class of images cannot be read/);
  });

  it("fail where there are none, and say what to do", async () => {
    const { subject, part } = await open();
    const none = { ...part, indices: [], labels: new Int32Array() };
    const probe = { blocks: 1, meanPatch: false };
    await assert.rejects(
      new CenteredImages(none, subject, { probe, mirrored: false }).features(new Pixels(), () => {}),
      coded("EVAL_INVALID", "80 % of each class of images has no image"),
    );
  });

  it("fail where none can be read, and where features are not finite", async () => {
    const { images, part, dataset } = await open();
    const nan = new Pixels();
    nan.pooled = async ({ count }) => ({ data: new Float32Array(count).fill(NaN), count, dim: 1 });
    await assert.rejects(
      images.features(nan, () => {}),
      coded("EVAL_INVALID", "not finite"),
    );
    for (const index of part.indices) await writeFile(dataset.item(index).path, "no image");
    await assert.rejects(
      images.features(new Pixels(), () => {}),
      coded("IMAGE_UNREADABLE"),
    );
  });
});
