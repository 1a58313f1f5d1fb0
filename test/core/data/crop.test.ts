import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DEFAULT_RATIO, sampleCrop, type CropRect } from "../../../core/data/crop.ts";
import { Random } from "../../../core/random.ts";

interface Golden {
  cases: {
    width: number;
    height: number;
    scale: [number, number];
    mean_area: number;
    std_area: number;
    min_area: number;
    max_area: number;
    mean_log_aspect: number;
    std_log_aspect: number;
    mean_x: number;
    mean_y: number;
    frac_whole_image: number;
  }[];
}
const golden = JSON.parse(
  readFileSync(new URL("../../fixtures/data/crop-statistics.json", import.meta.url), "utf8"),
) as Golden;

const DRAWS = 20_000;

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean, standard deviation, and how far each may lie from another sample's of the same size (5 sigma). */
function summary(values: number[]) {
  const center = mean(values);
  const squares = values.map((value) => (value - center) ** 2);
  const variance = mean(squares);
  const deviation = Math.sqrt(variance);
  const spreadOfVariance = Math.sqrt(mean(squares.map((square) => (square - variance) ** 2)));
  const five = 5 * Math.sqrt(2 / values.length);
  return {
    mean: center,
    std: deviation,
    meanError: five * deviation + 1e-9,
    stdError: deviation > 1e-9 ? (five * spreadOfVariance) / (2 * deviation) : 1e-9,
  };
}

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, not ${expected} +- ${tolerance}`);
}

describe("sampleCrop", () => {
  for (const expected of golden.cases) {
    const { width, height, scale } = expected;
    it(`draws like the reference: ${width} x ${height}, scale ${scale.join(" to ")}`, () => {
      const random = new Random(1, "crop-statistics", width, scale[0]);
      const crops = Array.from({ length: DRAWS }, () =>
        sampleCrop(random, width, height, { scale, ratio: DEFAULT_RATIO }),
      );
      const all = (value: (crop: CropRect) => number) => summary(crops.map(value));
      const area = all((crop) => (crop.width * crop.height) / (width * height));
      near(area.mean, expected.mean_area, area.meanError, "mean area");
      near(area.std, expected.std_area, area.stdError, "deviation of the area");
      const aspect = all((crop) => Math.log(crop.width / crop.height));
      near(aspect.mean, expected.mean_log_aspect, aspect.meanError, "mean log aspect");
      near(aspect.std, expected.std_log_aspect, aspect.stdError, "deviation of the log aspect");
      const x = all((crop) => crop.x);
      near(x.mean, expected.mean_x, x.meanError, "mean x");
      const y = all((crop) => crop.y);
      near(y.mean, expected.mean_y, y.meanError, "mean y");
      const whole = all((crop) => Number(crop.width === width && crop.height === height));
      near(whole.mean, expected.frac_whole_image, whole.meanError + 5 / DRAWS, "share of whole images");
      for (const crop of crops) {
        assert.ok(crop.x >= 0 && crop.y >= 0 && crop.width >= 1 && crop.height >= 1);
        assert.ok(crop.x + crop.width <= width && crop.y + crop.height <= height);
      }
    });
  }

  it("falls back to a centred crop of the nearest ratio", () => {
    const ranges = { scale: [1, 1] as const, ratio: DEFAULT_RATIO };
    assert.deepEqual(sampleCrop(new Random(0, "t"), 300, 1200, ranges), {
      x: 0,
      y: 400,
      width: 300,
      height: 400,
    });
    assert.deepEqual(sampleCrop(new Random(0, "w"), 1201, 300, ranges), {
      x: 400,
      y: 0,
      width: 400,
      height: 300,
    });
    // Ratio 1.2 is in range but the whole area fits no other ratio: after 10 draws the whole image.
    assert.deepEqual(sampleCrop(new Random(0, "s"), 240, 200, ranges), {
      x: 0,
      y: 0,
      width: 240,
      height: 200,
    });
  });

  it("gives at least one pixel of a one-pixel image, and of a line", () => {
    const ranges = { scale: [0.05, 0.4] as const, ratio: DEFAULT_RATIO };
    assert.deepEqual(sampleCrop(new Random(0, "p"), 1, 1, ranges), { x: 0, y: 0, width: 1, height: 1 });
    const { width, height } = sampleCrop(new Random(0, "l"), 1, 900, ranges);
    assert.ok(width === 1 && height >= 1 && height <= 2);
  });
});
