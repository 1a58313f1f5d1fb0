import assert from "node:assert/strict";
import { weightedGram } from "../../../core/eval/gram.ts";
import { principalComponent } from "../../../core/eval/principal-component.ts";
import { Random } from "../../../core/random.ts";

const close = (found: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(found - expected) < tolerance, `${found} is not ${expected}`);

describe("principal component", () => {
  it("is scikit-learn's", () => {
    // scikit-learn 1.9.1: PCA(1, svd_solver="full").fit(X).components_
    const rows = Array.from({ length: 40 }, (_, i) => [
      Math.sin(i),
      Math.cos(3 * i) * 5 + 2,
      ((i * i) % 17) / 4,
    ]);
    const data = Float32Array.from(rows.flat());
    const { weights, bias } = principalComponent({ data, count: 40, dim: 3 });
    [-0.00801206, 0.99996715, 0.00122549].forEach((w, i) => close(weights[i]!, w, 1e-7));
    const first = rows[0]!.reduce((sum, x, d) => sum + x * weights[d]!, bias);
    close(first, 4.98350575739525, 1e-5);
  });

  it("finds a direction that no axis lies on, whatever the mean", () => {
    const random = new Random(1, "line");
    const direction = [1, -2, 2].map((x) => x / 3);
    const data = Float32Array.from({ length: 500 }, () => 10 * random.normal()).reduce<number[]>(
      (all, t) => [...all, ...direction.map((x) => 50 + t * x + 0.1 * random.normal())],
      [],
    );
    const { weights } = principalComponent({ data: Float32Array.from(data), count: 500, dim: 3 });
    direction.forEach((x, i) => close(Math.abs(weights[i]!), Math.abs(x), 1e-2));
  });

  it("of features that are all the same is finite", () => {
    const { weights, bias } = principalComponent({ data: new Float32Array(12).fill(2), count: 4, dim: 3 });
    assert.ok([...weights, bias].every(Number.isFinite));
  });
});

describe("weightedGram", () => {
  it("is the sum of weighted outer products with a last column of ones, over any number of rows", () => {
    const [count, dim] = [700, 60];
    const random = new Random(2, "gram");
    const data = Float32Array.from({ length: count * dim }, () => random.normal());
    const mean = Float64Array.from({ length: dim }, () => random.normal());
    const scale = Float64Array.from({ length: dim }, () => random.uniform(0.5, 2));
    const weights = Float64Array.from({ length: count }, () => random.uniform());
    const gram = weightedGram({ data, count, dim }, { mean, scale, weights });
    const z = (i: number, d: number) => (d === dim ? 1 : (data[i * dim + d]! - mean[d]!) * scale[d]!);
    for (const [r, c] of [
      [0, 0],
      [3, 50],
      [50, 3],
      [59, 47],
      [12, 60],
      [60, 60],
    ] as const) {
      // prettier-ignore
      const expected = weights.reduce((sum, w, i) => sum + w * z(i, r) * z(i, c), 0);
      close(gram[r * (dim + 1) + c]!, expected, 1e-3);
    }
  });
});
