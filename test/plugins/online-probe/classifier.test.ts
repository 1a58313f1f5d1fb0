/** The classifier's loss and accuracy by their properties; the golden values are of the plugin as a whole. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { classify } from "../../../plugins/online-probe/classifier.ts";
import { assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";

describe("classify", () => {
  useCpuBackend();

  const of = (logits: tf.Tensor2D, labels: number[]) => {
    const { loss, accuracy } = classify(logits, tf.tensor1d(labels, "int32"));
    return [loss.dataSync()[0]!, accuracy.dataSync()[0]!] as const;
  };

  it("is log C and a guess of the first class for equal logits, and near 0 for those that are sure", () => {
    const [loss, accuracy] = of(tf.zeros([4, 3]), [0, 1, 2, 0]);
    assert.ok(Math.abs(loss - Math.log(3)) < 1e-6, `${loss}`);
    assert.equal(accuracy, 0.5);
    const [sure, right] = of(tf.tensor2d([[30, 0, 0], [0, 0, 30]]), [0, 2]); // prettier-ignore
    assert.ok(sure < 1e-6, `${sure}`);
    assert.equal(right, 1);
  });

  it("leaves out what has no label, and divides by all samples", () => {
    const logits = normal<tf.Rank.R2>("logits", [4, 3]);
    const [loss, accuracy] = of(logits, [2, -1, 0, -1]);
    const [wanted, share] = of(tf.gather(logits, tf.tensor1d([0, 2], "int32")), [2, 0]);
    assert.ok(Math.abs(loss - wanted / 2) < 1e-6, `${loss} is not half of ${wanted}`);
    assert.equal(accuracy, share);
  });

  it("is the mean of its halves, whatever of them is labelled", () => {
    const logits = normal<tf.Rank.R2>("logits", [4, 3]);
    const [first, second] = tf.split(logits, 2) as [tf.Tensor2D, tf.Tensor2D];
    const [whole] = of(logits, [2, 1, 0, -1]);
    const mean = (of(first, [2, 1])[0] + of(second, [0, -1])[0]) / 2;
    assert.ok(Math.abs(whole - mean) < 1e-6, `${whole} is not ${mean}`);
  });

  it("is 0, with a gradient of 0, where nothing has a label", () => {
    const logits = normal<tf.Rank.R2>("logits", [2, 3]);
    assert.deepEqual(of(logits, [-1, -1]), [0, 0]);
    const labels = tf.tensor1d([-1, -1], "int32");
    const gradient = tf.grad((x) => classify(x as tf.Tensor2D, labels).loss)(logits);
    assert.ok(gradient.dataSync().every((value) => value === 0), `${gradient.dataSync()}`); // prettier-ignore
  });

  it("has its gradient", () => {
    const labels = tf.tensor1d([1, -1, 0, 2], "int32");
    assertGradients((x) => classify(x as tf.Tensor2D, labels).loss, [normal("logits", [4, 3])]);
  });
});
