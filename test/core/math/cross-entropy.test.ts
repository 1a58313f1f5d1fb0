import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { crossEntropy, softmaxCrossEntropy } from "../../../core/math/index.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "./numeric.ts";

describe("core/math cross-entropy", () => {
  useCpuBackend();

  it("softmaxCrossEntropy is -sum labels log softmax, for large logits too", () => {
    const labels = tf.softmax(normal<tf.Rank.R2>("labels", [5, 7]));
    const logits = normal<tf.Rank.R2>("logits", [5, 7], 3);
    const expected = tf.neg(tf.sum(tf.mul(labels, tf.logSoftmax(logits)), 1));
    assertClose(softmaxCrossEntropy(labels, logits), expected, 1e-6);
    assertClose(softmaxCrossEntropy(labels, tf.add(logits, 1000)), expected, 1e-4);
  });

  it("softmaxCrossEntropy has the gradient of the logits", () => {
    const labels = tf.softmax(normal<tf.Rank.R2>("labels", [5, 7]));
    assertGradients((z) => softmaxCrossEntropy(labels, z as tf.Tensor2D), [normal("logits", [5, 7])]);
  });

  it("crossEntropy is the mean over rows of any rank", () => {
    const [teacher, student] = [normal("teacher", [2, 3, 4, 5]), normal("student", [2, 3, 4, 5])];
    const expected = tf.neg(tf.mean(tf.sum(tf.mul(tf.softmax(teacher), tf.logSoftmax(student)), 3)));
    assertClose(crossEntropy(teacher, student), expected, 1e-6);
    assertGradients((student) => crossEntropy(teacher, student!), [student]);
  });

  it("crossEntropy of equal sides is the entropy, of uniform ones ln K", () => {
    const zero = tf.zeros([4, 6]);
    assert.ok(Math.abs(crossEntropy(zero, zero).dataSync()[0]! - Math.log(6)) < 1e-6);
  });

  it("crossEntropy gives the teacher no gradient", () => {
    const [x, student] = [normal("teacher", [3, 5]), normal("student", [3, 5])];
    assert.throws(() => tf.grad((x: tf.Tensor) => crossEntropy(x, student))(x), /Cannot compute gradient/);
  });

  it("crossEntropy refuses sides of different shape", () => {
    assert.throws(() => crossEntropy(tf.zeros([3, 5]), tf.zeros([5, 3])), /\[3,5\].*\[5,3\]/);
  });
});
