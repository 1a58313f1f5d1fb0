/** iBOT's masks: statistics of the official code's (test/fixtures/README.md), and what every mask keeps to. */
import assert from "node:assert/strict";
import { Random } from "../../../core/random.ts";
import { drawMask, mostMasked, type MaskSpec } from "../../../core/data/draw-mask.ts";
import { readFixtureJson } from "../../support/safetensors-fixture.ts";

/** Of `n` masks; counts are of masked patches, ratios of all patches. */
interface Statistics {
  readonly n: number;
  readonly frac_empty: number;
  readonly mean_ratio: number;
  readonly mean_ratio_nonempty: number;
  readonly std_ratio_nonempty: number;
  readonly count_quantiles_nonempty: Readonly<Record<string, number>>;
  readonly per_cell_mean: readonly (readonly number[])[];
}

const golden = readFixtureJson<{ block_masks: Record<string, Statistics> }>("parity/sere.json").block_masks;

const single = (ratio: number, variation = 0, shape: MaskSpec["shape"] = "block"): MaskSpec => ({
  ratios: [{ ratio, variation }],
  shape,
});
/** The published setting: half of the images are not masked. */
const published: MaskSpec = {
  ratios: [
    { ratio: 0, variation: 0 },
    { ratio: 0.3, variation: 0.2 },
  ],
  shape: "block",
};

const cases: Record<string, readonly [side: number, spec: MaskSpec]> = {
  "H14_readme_[0,.3]_var[0,.2]": [14, published],
  "H14_ratio0.1_var0": [14, single(0.1)],
  "H14_ratio0.3_var0": [14, single(0.3)],
  "H14_ratio0.5_var0": [14, single(0.5)],
  "H14_ratio0.3_var0.2": [14, single(0.3, 0.2)],
  "H14_rand_ratio0.3": [14, single(0.3, 0, "random")],
  "H6_readme_[0,.3]_var[0,.2]": [6, published],
  "H6_ratio0.1_var0": [6, single(0.1)],
  "H6_ratio0.3_var0": [6, single(0.3)],
  "H6_ratio0.5_var0": [6, single(0.5)],
  "H4_readme_[0,.3]_var[0,.2]": [4, published],
  "H4_ratio0.1_var0": [4, single(0.1)],
  "H4_ratio0.3_var0": [4, single(0.3)],
  "H4_ratio0.5_var0": [4, single(0.5)],
};

const countOf = (mask: Uint8Array): number => mask.reduce((sum, cell) => sum + cell, 0);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const moment = (values: readonly number[], order: number): number => {
  const center = mean(values);
  return mean(values.map((value) => (value - center) ** order));
};

const DRAWS = 4000;
/** Standard errors; some 1,700 figures are compared. */
const SIGMAS = 4.5;

describe("iBOT's masks against the official code's", () => {
  it("are compared in every setting that was drawn", () => {
    const drawn = Object.keys(golden).filter((key) => key !== "H14_before_pred_start_epoch");
    assert.deepEqual(Object.keys(cases).sort(), drawn.sort());
  });

  for (const [key, [side, spec]] of Object.entries(cases)) {
    it(`have the statistics of ${key}`, () => {
      const want = golden[key]!;
      const masks = Array.from({ length: DRAWS }, (_, i) =>
        drawMask(new Random(3, key, i), side, side, spec),
      );
      // Both sides are samples. Stored means per cell are rounded to 4 digits.
      const spread = Math.sqrt(1 / DRAWS + 1 / want.n);
      const ofShare = (p: number) => SIGMAS * Math.sqrt(p * (1 - p)) * spread;
      const near = (what: string, got: number, expected: number, tolerance: number) =>
        assert.ok(Math.abs(got - expected) <= tolerance + 1e-9, `${what}: ${got}, official ${expected}`);

      const counts = masks.map(countOf);
      const empty = counts.filter((count) => count === 0).length / DRAWS;
      near("empty masks", empty, want.frac_empty, ofShare((empty + want.frac_empty) / 2));

      const ratios = counts.filter((count) => count > 0).map((count) => count / side ** 2);
      const std = Math.sqrt(moment(ratios, 2));
      const filled = Math.sqrt(1 / ratios.length + 1 / (want.n * (1 - want.frac_empty)));
      near("mean", mean(ratios), want.mean_ratio_nonempty, SIGMAS * std * filled);
      const all = counts.map((count) => count / side ** 2);
      near("mean of all", mean(all), want.mean_ratio, SIGMAS * Math.sqrt(moment(all, 2)) * spread);
      const ofStd = Math.sqrt(Math.max(0, moment(ratios, 4) - std ** 4)) / (2 * std || 1);
      near("deviation", std, want.std_ratio_nonempty, SIGMAS * ofStd * filled);

      for (const [quantile, count] of Object.entries(want.count_quantiles_nonempty)) {
        const q = Number(quantile);
        // Beyond the official extremes there may be the few masks that so many draws miss.
        const slack = ofShare(q) + 10 / want.n;
        const share = (test: (own: number) => boolean) =>
          ratios.filter((ratio) => test(Math.round(ratio * side ** 2))).length / ratios.length;
        assert.ok(share((own) => own < count) <= q + slack, `quantile ${q} is below ${count}`);
        assert.ok(share((own) => own <= count) >= q - slack, `quantile ${q} is above ${count}`);
      }

      want.per_cell_mean.flat().forEach((expected, cell) => {
        const got = mean(masks.map((mask) => mask[cell]!));
        near(`cell ${cell}`, got, expected, ofShare((got + expected) / 2) + 5e-5);
      });
    });
  }
});

describe("a mask", () => {
  const grids = [
    [14, 14],
    [6, 6],
    [4, 4],
    [3, 7],
    [10, 2],
    [1, 1],
  ] as const;
  const shapes = ["block", "random"] as const;

  it("never has more patches than its ratio, nor than mostMasked, on oblong grids too", () => {
    for (const [rows, columns] of grids) {
      for (const shape of shapes) {
        for (const [ratio, variation] of [
          [0.1],
          [0.3],
          [0.5],
          [0.3, 0.2],
          [0.05, 0.3],
          [0.9, 0.3],
        ] as const) {
          const spec = single(ratio, variation, shape);
          const most = mostMasked(spec, rows * columns);
          assert.ok(most <= (ratio + (variation ?? 0)) * rows * columns && most <= rows * columns);
          for (let i = 0; i < 100; i++) {
            const mask = drawMask(new Random(1, rows, i), rows, columns, spec);
            assert.equal(mask.length, rows * columns);
            assert.ok(countOf(mask) <= most, `${countOf(mask)} of ${most} on ${rows} x ${columns}`);
          }
        }
      }
    }
  });

  it("of blocks is often one rectangle where its ratio has room for little more, as often high as wide", () => {
    const aspects: number[] = [];
    for (let i = 0; i < 3000; i++) {
      const mask = drawMask(new Random(2, i), 14, 14, single(17 / 196));
      const cells = [...mask.keys()].filter((cell) => mask[cell]);
      const extent = (at: number[]) => Math.max(...at) - Math.min(...at) + 1;
      const [height, width] = [
        extent(cells.map((c) => Math.floor(c / 14))),
        extent(cells.map((c) => c % 14)),
      ];
      if (height * width === cells.length) aspects.push(Math.log(height / width));
    }
    assert.ok(aspects.length > 1000, `${aspects.length} of 3000`);
    const error = Math.sqrt(moment(aspects, 2) / aspects.length);
    assert.ok(Math.abs(mean(aspects)) < 3 * error, `log of height over width: ${mean(aspects)} +- ${error}`);
    assert.ok(Math.max(...aspects) > Math.log(2.5) && Math.max(...aspects) < Math.log(5));
  });

  it("of blocks has none as high or as wide as the view: a single row of patches is never masked", () => {
    for (const [rows, columns] of [
      [1, 9],
      [9, 1],
    ] as const) {
      for (let i = 0; i < 100; i++)
        assert.equal(countOf(drawMask(new Random(8, i), rows, columns, single(0.9))), 0);
    }
  });

  it("of single patches has exactly the whole part of its ratio", () => {
    for (const [ratio, count] of [
      [0.3, 58],
      [0.1, 19],
      [0, 0],
      [1, 196],
      [0.999, 195],
    ] as const) {
      for (let i = 0; i < 20; i++)
        assert.equal(countOf(drawMask(new Random(4, i), 14, 14, single(ratio, 0, "random"))), count);
    }
  });

  it("is empty for a ratio of 0, and for one that is drawn below", () => {
    for (const shape of shapes) {
      assert.equal(mostMasked(single(0, 0, shape), 196), 0);
      for (let i = 0; i < 50; i++) {
        assert.equal(countOf(drawMask(new Random(5, i), 14, 14, single(0, 0, shape))), 0);
        assert.ok(countOf(drawMask(new Random(5, i), 14, 14, single(0, 0.02, shape))) <= 3);
      }
    }
  });

  it("depends on its keys alone", () => {
    const draw = (...keys: number[]) => [...drawMask(new Random(6, ...keys), 14, 14, published)];
    const first = Array.from({ length: 20 }, (_, i) => draw(i));
    const again = Array.from({ length: 20 }, (_, i) => draw(19 - i)).reverse();
    assert.deepEqual(again, first);
    assert.ok(new Set(first.map((mask) => mask.join(""))).size > 8);
  });

  it("takes each of several ratios as often as the others", () => {
    const spec: MaskSpec = {
      ratios: [0.1, 0.4, 0.8].map((ratio) => ({ ratio, variation: 0 })),
      shape: "random",
    };
    const counts = Array.from({ length: 3000 }, (_, i) => countOf(drawMask(new Random(7, i), 10, 10, spec)));
    for (const count of [10, 40, 80]) {
      const share = counts.filter((own) => own === count).length / counts.length;
      assert.ok(Math.abs(share - 1 / 3) < 0.04, `${count}: ${share}`);
    }
  });
});

describe("mostMasked", () => {
  it("is the largest ratio's whole part, and at most all patches", () => {
    assert.equal(mostMasked(published, 196), 98);
    assert.equal(mostMasked(single(0.3), 16), 4);
    assert.equal(mostMasked(single(0.9, 0.5), 16), 16);
    assert.equal(mostMasked(single(0.3, 0.2), 1), 0);
  });
});
