import assert from "node:assert/strict";
import type { Features } from "../../../core/eval/features.ts";
import { scoreRows, type LinearScore } from "../../../core/eval/linear-score.ts";
import { fitLogistic } from "../../../core/eval/logistic.ts";
import { Random } from "../../../core/random.ts";

/** Three columns of different scale, and targets in steps of a tenth. */
function golden() {
  const rows = Array.from({ length: 40 }, (_, i) => [
    Math.sin(i),
    Math.cos(3 * i) * 5 + 2,
    ((i * i) % 17) / 4,
  ]);
  const features = { data: Float32Array.from(rows.flat()), count: 40, dim: 3 };
  return { features, targets: Float32Array.from(rows, (_, i) => ((i * 7) % 11) / 10) };
}

const scores = (score: LinearScore, features: Features) =>
  scoreRows(score, features, new Float64Array(features.count));

/** Normal rows, in a class each by the sign of a fixed direction; column `constant` is 3. */
function separable(count: number, dim: number, constant = -1) {
  const random = new Random(count, "separable");
  const data = Float32Array.from({ length: count * dim }, (_, i) =>
    i % dim === constant ? 3 : random.normal(),
  );
  const targets = Float32Array.from({ length: count }, (_, i) =>
    data[i * dim]! + 0.5 * data[i * dim + 1]! > 0.2 ? 1 : 0,
  );
  return { features: { data, count, dim }, targets };
}

describe("logistic regression", () => {
  it("has scikit-learn's optimum for soft targets", () => {
    // scikit-learn 1.9.1 on Z = StandardScaler().fit_transform(X), each row twice:
    //   LogisticRegression(C=1 / l2, tol=1e-12, solver="newton-cholesky").fit(
    //     vstack([Z, Z]), r_[ones(40), zeros(40)], sample_weight=r_[y, 1 - y]).decision_function(Z[:4])
    const expected = new Map([
      [1, [-0.015175425321988227, 0.2886052106660859, -0.03909534969414305, 0.1396758843195675]],
      [0.1, [-0.017833867293319306, 0.3135373339674586, -0.04342316037852244, 0.1503248608495827]],
    ]);
    const { features, targets } = golden();
    for (const [l2, values] of expected) {
      const found = scores(fitLogistic(features, targets, { l2 }), features);
      values.forEach((value, i) => assert.ok(Math.abs(found[i]! - value) < 1e-6, `${found[i]} ${value}`));
    }
  });

  it("separates what can be separated, also where it begins on few of many rows", () => {
    for (const count of [300, 20_000]) {
      const { features, targets } = separable(count, 5);
      const found = scores(fitLogistic(features, targets), features);
      const right = found.filter((score, i) => score > 0 === (targets[i] === 1)).length;
      assert.ok(right / count > 0.99, `${right} of ${count}`);
    }
  });

  it("finds the few rows of one class among many, also where those it begins on have none", () => {
    const { features } = separable(9000, 6);
    const targets = new Float32Array(features.count);
    for (const row of [3, 1001, 5005]) targets[row] = 1;
    const found = scores(fitLogistic(features, targets), features);
    const mean = (rows: readonly number[]) => rows.reduce((sum, row) => sum + found[row]!, 0) / rows.length;
    assert.ok(found.every(Number.isFinite));
    assert.ok(mean([3, 1001, 5005]) > mean([0, 1, 2, 4, 5, 6]) + 0.5);
    const none = scores(fitLogistic(features, new Float32Array(features.count)), features);
    assert.ok(none.every((score) => score < -5 && Number.isFinite(score)));
  });

  it("does not depend on the features' scale and offset, nor on a column that never changes", () => {
    const { features, targets } = separable(200, 4, 3);
    const plain = scores(fitLogistic(features, targets), features);
    const moved = { ...features, data: features.data.map((x, i) => (i % 4 === 0 ? 100 * x - 7 : x)) };
    const other = scores(fitLogistic(moved, targets), moved);
    plain.forEach((score, i) => assert.ok(Math.abs(score - other[i]!) < 1e-4 * (1 + Math.abs(score))));
  });

  it("with l2 too large for anything says the targets' mean", () => {
    const { features, targets } = golden();
    const mean = targets.reduce((a, b) => a + b, 0) / 40;
    for (const score of scores(fitLogistic(features, targets, { l2: 1e9 }), features)) {
      assert.ok(Math.abs(score - Math.log(mean / (1 - mean))) < 1e-6);
    }
  });

  it("refuses targets that do not fit, and features of a network that has diverged", () => {
    const { features, targets } = golden();
    const invalid = { code: "EVAL_INVALID" };
    assert.throws(() => fitLogistic(features, targets.subarray(1)), invalid);
    assert.throws(() => fitLogistic(features, targets.map((y) => y * 2)), invalid); // prettier-ignore
    const diverged = { ...features, data: features.data.with(5, NaN) };
    assert.throws(() => fitLogistic(diverged, targets), { ...invalid, message: /not finite/ });
  });
});
