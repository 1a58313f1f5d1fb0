import assert from "node:assert/strict";
import { rankMe } from "../../../core/eval/rank-me.ts";
import { symmetricEigenvalues } from "../../../core/eval/symmetric-eigenvalues.ts";
import { readGolden } from "../../support/golden.ts";
import { Random } from "../../../core/random.ts";

interface Golden {
  readonly name: string;
  readonly shape: readonly [number, number];
  readonly values: readonly number[];
  readonly rankMe: number;
}

const golden = readGolden<readonly Golden[]>(import.meta.url, "rank-me.golden.json");

const features = (values: readonly number[], [count, dim]: readonly [number, number]) => ({
  data: Float32Array.from(values),
  count,
  dim,
});

describe("rankMe", () => {
  for (const { name, shape, values, rankMe: expected } of golden) {
    it(`is NumPy's for ${name}`, () => {
      const value = rankMe(features(values, shape));
      assert.ok(Math.abs(value - expected) < 1e-5 * expected, `${value}, not ${expected}`);
    });
  }

  it("does not depend on the length, the order or a turn of the features", () => {
    const { values, shape } = golden[0]!;
    const [count, dim] = shape;
    const expected = rankMe(features(values, shape));
    const rows = Array.from({ length: count }, (_, i) => values.slice(i * dim, (i + 1) * dim));
    const turned = rows.toReversed().map(([a, b, ...rest]) => {
      return [0.6 * a! - 0.8 * b!, 0.8 * a! + 0.6 * b!, ...rest].map((value) => 3 * value);
    });
    const value = rankMe(features(turned.flat(), shape));
    assert.ok(Math.abs(value - expected) < 1e-4, `${value}, not ${expected}`);
  });

  it("is the number of directions where they are equally used, and 1 where there is one or none", () => {
    const identity = Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 2 : 0));
    assert.ok(Math.abs(rankMe(features(identity, [4, 4])) - 4) < 1e-4);
    const alike = Array.from({ length: 12 }, (_, i) => (i % 3) + 1);
    assert.ok(Math.abs(rankMe(features(alike, [4, 3])) - 1) < 1e-4);
    assert.equal(rankMe(features(new Array<number>(6).fill(0), [2, 3])), 1);
  });

  it("is NaN for features that are not finite", () => {
    assert.ok(Number.isNaN(rankMe(features([1, NaN, 0, 1], [2, 2]))));
  });
});

describe("symmetricEigenvalues", () => {
  const sorted = (values: Float64Array) => [...values].sort((a, b) => a - b);

  it("finds those that a matrix was made of", () => {
    // Q diag Q with a reflection Q = I - 2 u u^T / |u|^2.
    const n = 40;
    const random = new Random(0, "eigenvalues");
    const wanted = Float64Array.from({ length: n }, (_, i) => (i % 7 === 0 ? 0 : random.normal()));
    const u = Float64Array.from({ length: n }, () => random.normal());
    const squared = u.reduce((sum, x) => sum + x * x, 0);
    const q = (i: number, j: number) => (i === j ? 1 : 0) - (2 * u[i]! * u[j]!) / squared;
    const matrix = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++)
        matrix[i * n + j] = wanted.reduce((sum, value, k) => sum + q(i, k) * value * q(k, j), 0);
    const found = sorted(symmetricEigenvalues(matrix, n));
    sorted(wanted).forEach((value, i) => assert.ok(Math.abs(value - found[i]!) < 1e-12, `${i}`));
  });

  for (const [name, matrix, values] of [
    ["a diagonal matrix", [3, 0, 0, 0, -1, 0, 0, 0, 2], [-1, 2, 3]],
    ["a single number", [5], [5]],
    ["a matrix of ones", new Array<number>(16).fill(1), [0, 0, 0, 4]],
    ["a swap", [0, 1, 1, 0], [-1, 1]],
  ] as const) {
    it(`of ${name}`, () => {
      const n = Math.sqrt(matrix.length);
      const found = sorted(symmetricEigenvalues(Float64Array.from(matrix), n));
      values.forEach((value, i) => assert.ok(Math.abs(value - found[i]!) < 1e-12, `${found.join()}`));
    });
  }
});
