import assert from "node:assert/strict";
import { classify, fitSoftmaxRegression } from "../../../core/eval/softmax-regression.ts";
import { coded } from "../trainer/tiny.ts";
import { labelledGolden, ofTwoClasses, testOf, trainOf } from "./labelled-golden.ts";

describe("fitSoftmaxRegression", () => {
  const golden = labelledGolden();
  const [train, test, numClasses] = [trainOf(golden), testOf(golden), golden.shape[3]];

  for (const { c, standardise, objective, predictions, accuracy } of golden.logistic) {
    const how = `C = ${c}, ${standardise ? "standardised" : "as they are"}`;
    it(`has scikit-learn's optimum: ${how}`, async () => {
      const options = { l2: 1 / c, standardise };
      const found = await fitSoftmaxRegression(train, golden.trainLabels, numClasses, options);
      assert.ok(found.converged);
      assert.ok(Math.abs(found.objective / objective - 1) < 1e-6, `${found.objective}, not ${objective}`);
      const tested = await classify(found, test, golden.testLabels);
      assert.deepEqual([...tested.predictions], predictions);
      assert.ok(Math.abs(tested.top1 - accuracy) < 1e-9);
    });
  }

  it("has that of two classes, whose weights scikit-learn counts once", async () => {
    const { c, objective, predictions } = golden.logisticOfTwo;
    const { features, labels } = ofTwoClasses(train, golden.trainLabels);
    const found = await fitSoftmaxRegression(features, labels, 2, { l2: 1 / c });
    assert.ok(Math.abs(found.objective / objective - 1) < 1e-6, `${found.objective}, not ${objective}`);
    const tested = ofTwoClasses(test, golden.testLabels);
    assert.deepEqual([...(await classify(found, tested.features, tested.labels)).predictions], predictions);
  });

  it("never predicts a class that has no row, and is not changed by it", async () => {
    const shifted = golden.trainLabels.map((label) => (label === 0 ? 0 : label + 1));
    const options = { l2: 1 };
    const found = await fitSoftmaxRegression(train, shifted, numClasses + 1, options);
    const plain = await fitSoftmaxRegression(train, golden.trainLabels, numClasses, options);
    assert.equal(found.objective, plain.objective);
    assert.equal(found.biases[1], -Infinity);
    const asked = golden.testLabels.map(() => 1);
    const { predictions, top1 } = await classify(found, test, asked);
    assert.ok(!predictions.includes(1));
    assert.equal(top1, 0);
  });

  it("says where it did not get to the optimum", async () => {
    const options = { l2: 1, mostSteps: 2 };
    const { converged, steps } = await fitSoftmaxRegression(train, golden.trainLabels, numClasses, options);
    assert.deepEqual([converged, steps], [false, 2]);
  });

  it("separates what can be separated with hardly any decay", async () => {
    const features = { data: Float32Array.of(-2, -1, 1, 2), count: 4, dim: 1 };
    const found = await fitSoftmaxRegression(features, [0, 0, 1, 1], 2, { l2: 1e-6 });
    assert.equal((await classify(found, features, [0, 0, 1, 1])).top1, 1);
    assert.ok(Number.isFinite(found.objective) && found.objective > 0);
  });

  it("refuses labels that do not fit, one class alone and no decay", async () => {
    const features = { data: Float32Array.of(1, 2), count: 2, dim: 1 };
    const fit = (labels: number[], l2 = 1) => fitSoftmaxRegression(features, labels, 2, { l2 });
    await assert.rejects(fit([0]), coded("EVAL_INVALID", "1 labels for 2"));
    await assert.rejects(fit([0, 2]), coded("EVAL_INVALID", "labels[1] is 2"));
    await assert.rejects(fit([1, 1]), coded("EVAL_INVALID", "one class"));
    await assert.rejects(fit([0, 1], 0), coded("EVAL_INVALID", "l2"));
  });
});
