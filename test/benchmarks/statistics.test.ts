import assert from "node:assert/strict";
import { exponentOf, median, quantile, ratioOfMedians } from "../../benchmarks/statistics.ts";
import { Random } from "../../core/random.ts";

describe("statistics of benchmarks", () => {
  it("give the middle value, or the mean of the two in the middle", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.throws(() => median([]), RangeError);
  });

  it("give quantiles between values", () => {
    assert.deepEqual(
      [0, 0.25, 0.9, 1].map((q) => quantile([0, 10, 20], q)),
      [0, 5, 18, 20],
    );
  });

  it("draw pairs together: a machine that swings says nothing", () => {
    const swinging = [1, 2, 1.1, 1.9, 1, 2.2, 1.3];
    const twice = swinging.map((seconds) => 2 * seconds);
    assert.deepEqual(ratioOfMedians(twice, swinging), { value: 2, low: 2, high: 2 });
    assert.throws(() => ratioOfMedians(twice, swinging.slice(1)), /7 and 6 samples are no pairs/);
  });

  it("give the same interval for the same samples", () => {
    const random = new Random(0, "statistics");
    const [a, b] = [1, 2].map(() => Array.from({ length: 15 }, () => 1 + random.uniform()));
    const estimate = ratioOfMedians(a!, b!);
    assert.deepEqual(ratioOfMedians(a!, b!), estimate);
    assert.ok(estimate.low < estimate.value && estimate.value < estimate.high, JSON.stringify(estimate));
  });

  it("give intervals that hold the true ratio about 95 times of 100", () => {
    const truth = 1.5;
    const held = Array.from({ length: 100 }, (_, trial) => {
      const random = new Random(trial, "coverage");
      const noisy = (scale: number) => scale * Math.exp(0.1 * random.normal());
      const pairs = Array.from({ length: 15 }, () => [noisy(truth), noisy(1)] as const);
      const { low, high } = ratioOfMedians(
        pairs.map(([a]) => a),
        pairs.map(([, b]) => b),
      );
      return low <= truth && truth <= high;
    });
    const times = held.filter(Boolean).length;
    assert.ok(times >= 88 && times < 100, `${times} of 100 hold it`);
  });

  it("fit the exponent of a power law", () => {
    const sizes = [1, 2, 4, 9];
    const exponent = exponentOf(
      sizes,
      sizes.map((size) => 3 * size ** 1.25),
    );
    assert.ok(Math.abs(exponent - 1.25) < 1e-12, `the exponent is ${exponent}`);
    // By hand: the middle of three points has no weight, the ends' slope is ln 16 / ln 4.
    assert.ok(Math.abs(exponentOf([1, 2, 4], [1, 7, 16]) - 2) < 1e-12, "least squares");
  });
});
