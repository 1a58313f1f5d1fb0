import assert from "node:assert/strict";
import { jitterColor } from "../../../core/data/color-jitter.ts";
import { Random } from "../../../core/random.ts";

/** A random stream whose `uniform` gives these values, whatever the range. */
function drawing(...values: number[]): Random {
  const random = new Random(0, "fixed");
  random.uniform = () => values.shift()!;
  return random;
}

function jittered(values: number[], channels: 1 | 3, ...draws: number[]): number[] {
  const pixels = Uint8Array.from(values);
  jitterColor(pixels, channels, drawing(...draws));
  return [...pixels];
}

describe("jitterColor", () => {
  const colors = [200, 100, 50, 10, 20, 30];

  it("changes nothing where every factor is 1", () => {
    assert.deepEqual(jittered(colors, 3, 1, 1, 1), colors);
    assert.deepEqual(jittered(colors, 1, 1, 1, 1), colors);
  });

  it("multiplies by the brightness and clips", () => {
    assert.deepEqual(jittered(colors, 3, 1.4, 1, 1), [255, 140, 70, 14, 28, 42]);
  });

  it("multiplies the distance to the mean luma by the contrast", () => {
    // Grey pixels: luma 0, 100, 200, mean 100.
    const grey = [0, 100, 200];
    assert.deepEqual(jittered(grey, 1, 1, 0.6, 1), [40, 100, 160]);
    const spread = grey.flatMap((v) => [v, v, v]);
    assert.deepEqual(
      jittered(spread, 3, 1, 0.6, 1),
      [40, 100, 160].flatMap((v) => [v, v, v]),
    );
  });

  it("multiplies the distance to each pixel's luma by the saturation", () => {
    // Luma 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2.
    assert.deepEqual(jittered([200, 100, 50], 3, 1, 1, 0.5), [162, 112, 87]);
    assert.deepEqual(jittered([7, 7, 7], 3, 1, 1, 0.5), [7, 7, 7]);
  });

  it("draws factors from 0.6 to 1.4", () => {
    const ranges: number[][] = [];
    const random = new Random(0, "ranges");
    random.uniform = (low = 0, high = 1) => {
      ranges.push([low, high]);
      return 1;
    };
    jitterColor(Uint8Array.of(1, 2, 3), 3, random);
    assert.deepEqual(ranges, [
      [0.6, 1.4],
      [0.6, 1.4],
      [0.6, 1.4],
    ]);
  });
});
