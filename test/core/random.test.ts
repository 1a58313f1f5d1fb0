/** Distributions of core/random.ts: against quantiles of scipy.stats. */
import assert from "node:assert/strict";
import { Random } from "../../core/random.ts";

const DRAWS = 20_000;
/** Of the share of draws below a quantile: five standard errors at most. */
const TOLERANCE = 5 * Math.sqrt(0.25 / DRAWS);
const LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9] as const;

function assertQuantiles(draws: readonly number[], quantiles: readonly number[]): void {
  quantiles.forEach((quantile, i) => {
    const below = draws.filter((value) => value < quantile).length / DRAWS;
    assert.ok(Math.abs(below - LEVELS[i]!) < TOLERANCE, `${below} of the draws are below ${quantile}`);
  });
}

const draw = (name: string, from: (random: Random) => number) =>
  Array.from({ length: DRAWS }, (_, i) => from(new Random(1, name, i)));

describe("Random", () => {
  // scipy 1.17: beta.ppf(levels, a, b)
  for (const [a, b, quantiles] of [
    [0.8, 0.8, [0.0711, 0.2193, 0.5, 0.7807, 0.9289]],
    [0.2, 0.2, [0.0002, 0.0238, 0.5, 0.9762, 0.9998]],
    [1, 1, [0.1, 0.25, 0.5, 0.75, 0.9]],
    [2, 5, [0.0926, 0.1612, 0.2644, 0.3895, 0.5103]],
  ] as const)
    it(`draws from Beta(${a}, ${b})`, () => {
      const draws = draw("beta", (random) => random.beta(a, b));
      assert.ok(draws.every((value) => value >= 0 && value <= 1));
      assertQuantiles(draws, quantiles);
    });

  it("draws 0 or 1 from a Beta whose shapes are next to 0", () => {
    const draws = draw("beta", (random) => random.beta(1e-8, 1e-8));
    assert.ok(draws.every((value) => value === 0 || value === 1));
    const ones = draws.filter((value) => value === 1).length / DRAWS;
    assert.ok(Math.abs(ones - 0.5) < TOLERANCE, `${ones} of the draws are 1`);
  });

  it("draws from a Gamma of the mean and variance of its shape", () => {
    for (const shape of [0.3, 4]) {
      const draws = draw("gamma", (random) => random.gamma(shape));
      const mean = draws.reduce((sum, value) => sum + value, 0) / DRAWS;
      const variance = draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / DRAWS;
      assert.ok(Math.abs(mean / shape - 1) < 0.07, `mean ${mean} for ${shape}`);
      assert.ok(Math.abs(variance / shape - 1) < 0.15, `variance ${variance} for ${shape}`);
    }
  });
});
