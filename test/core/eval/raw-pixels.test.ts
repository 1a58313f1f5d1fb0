import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { nearestNeighbours } from "../../../core/eval/neighbours.ts";
import { knnVote } from "../../../core/eval/knn.ts";
import { rawPixelFeatures } from "../../../core/eval/raw-pixels.ts";
import { retrieval } from "../../../core/eval/retrieval.ts";

const require = createRequire(import.meta.url);
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];
const bytes = (features: Float32Array) =>
  [...features].map((v, i) => Math.round((v * DEVIATION[i % 3]! + MEAN[i % 3]!) * 255 * 100) / 100);

describe("rawPixelFeatures", () => {
  it("takes the mean of each area, per channel", () => {
    const image = Uint8Array.from([
      10, 0, 1, 20, 0, 1, 30, 100, 2, 50, 200, 2, 30, 0, 1, 40, 0, 1, 70, 0, 2, 90, 0, 2,
    ]);
    const { data, count, dim } = rawPixelFeatures([image], { width: 4, height: 2, side: 1 });
    assert.deepEqual([count, dim], [1, 3]);
    assert.deepEqual(bytes(data), [42.5, 37.5, 1.5]);
  });

  it("shares a pixel between the cells it lies in when the size does not divide", () => {
    const gray = [0, 90, 240].flatMap((v) => [v, v, v]);
    const image = Uint8Array.from([...gray, ...gray, ...gray]);
    const { data } = rawPixelFeatures([image], { width: 3, height: 3, side: 2 });
    // Per row: (0 + 90 / 2) / 1.5 = 30 and (90 / 2 + 240) / 1.5 = 190.
    assert.deepEqual(bytes(data), [30, 30, 30, 190, 190, 190, 30, 30, 30, 190, 190, 190]);
  });

  it("repeats pixels when the image is smaller than the grid", () => {
    const { data } = rawPixelFeatures([Uint8Array.from([5, 6, 7])], { width: 1, height: 1, side: 2 });
    assert.deepEqual(bytes(data), [5, 6, 7, 5, 6, 7, 5, 6, 7, 5, 6, 7]);
  });

  it("refuses an image of another size", () => {
    const images = [new Uint8Array(12), new Uint8Array(16)];
    assert.throws(() => rawPixelFeatures(images, { width: 2, height: 2 }), {
      code: "EVAL_INVALID",
      message: /image 1 has 16 bytes/,
    });
  });

  it("gives the figures of an independent computation on emoji", async () => {
    // Golden: numpy 2 in double precision, every tenth emoji of emoji-datasource 16.0.0 (192 of 1,911), the
    // same protocol. On all 1,911 both give 0.36839 same-emoji and 0.59393 category (k = 1).
    const list = JSON.parse(readFileSync(require.resolve("emoji-datasource-google/emoji.json"), "utf8")) as {
      image: string;
      category: string;
      has_img_google: boolean;
      has_img_twitter: boolean;
    }[];
    const emoji = list.filter((e) => e.has_img_google && e.has_img_twitter).filter((_, i) => i % 10 === 0);
    const features = async (vendor: string) => {
      const root = join(
        dirname(require.resolve(`emoji-datasource-${vendor}/package.json`)),
        "img",
        vendor,
        "64",
      );
      const read = ({ image }: { image: string }) =>
        sharp(join(root, image)).flatten({ background: "#fff" }).toColourspace("srgb").raw().toBuffer();
      return rawPixelFeatures(await Promise.all(emoji.map(read)), { width: 64, height: 64 });
    };
    const [queries, bank] = [await features("twitter"), await features("google")];
    const same = await retrieval({ queries, bank });
    assert.equal(Math.round(same.top1 * 192), 109);
    assert.equal(Math.round(same.recall5 * 192), 140);
    assert.ok(Math.abs(same.meanReciprocalRank - 0.6472371954) < 1e-6);

    const categories = [...new Set(list.map((e) => e.category))];
    const labels = emoji.map((e) => categories.indexOf(e.category));
    const voting = { queryLabels: labels, bankLabels: labels, numClasses: categories.length };
    const neighbours = await nearestNeighbours({ queries, bank, k: 20 });
    const hits = [1, 5, 20].map((k) => knnVote(neighbours, { ...voting, k }));
    assert.deepEqual(
      hits.map(({ top1, top5 }) => [Math.round(top1 * 192), Math.round(top5! * 192)]),
      [
        [127, 127],
        [124, 168],
        [115, 182],
      ],
    );
  });
});
