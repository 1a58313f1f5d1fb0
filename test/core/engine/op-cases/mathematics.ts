import * as tf from "@tensorflow/tfjs-core";
import { group, real, truth, whole } from "./op-case.ts";

type Vector = tf.Tensor1D;

const reductions = group("Reductions");
const products = group("Products and linear algebra");
const norms = group("Softmax and norms");
const losses = group("Losses");
const recurrent = group("Recurrent cells");

const cube = [real([2, 3, 4])];
const matrices = [real([2, 3]), real([2, 3])];
const probabilities = [real([2, 3], 0.05, 0.95), real([2, 3], 0.05, 0.95)];
const moments = [real([3]), real([3], 0.5, 2)];
const affine = [real([3]), real([3], 0.5, 2)];
/** Input, hidden and cell state of 2 samples; kernel and bias of 4 gates. */
const lstm = [real([5, 12]), real([12]), real([2, 2]), real([2, 3]), real([2, 3])];
type Lstm = [tf.Tensor2D, Vector, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];

export const mathematics = [
  reductions.forward("all", [truth([2, 3])], (x) => tf.all(x, 0)),
  reductions.forward("any", [truth([2, 3])], (x) => tf.any(x, 1)),
  reductions.forward("bincount", [whole([6], 4), real([6])], (x: Vector, w: Vector) => tf.bincount(x, w, 4)),
  reductions.forward("cumprod", cube, (x) => tf.cumprod(x, 1)),
  reductions.differentiable("cumsum", cube, (x) => tf.cumsum(x, 1, true, true)),
  reductions.differentiable("cumsum", [real([4, 4])], (x) => tf.cumsum(x, 0)),
  reductions.differentiable("euclideanNorm", cube, (x) => tf.euclideanNorm(x, 1)),
  reductions.differentiable("logSumExp", cube, (x) => tf.logSumExp(x, 2, true)),
  reductions.differentiable("max", [real([4, 4])], (x) => tf.max(x, 0, true)),
  reductions.differentiable("max", cube, (x) => tf.max(x, [0, 2])),
  reductions.differentiable("mean", cube, (x) => tf.mean(x, 1, true)),
  reductions.differentiable("min", cube, (x) => tf.min(x, 1)),
  reductions.differentiable("moments", cube, (x) => Object.values(tf.moments(x, [0, 1]))),
  reductions.differentiable("norm", cube, (x) => tf.norm(x, "euclidean", 2)),
  reductions.differentiable("norm", cube, (x) => tf.norm(x, 1, 1)),
  reductions.differentiable("norm", cube, (x) => tf.norm(x, Infinity, 1)),
  reductions.differentiable("prod", cube, (x) => tf.prod(x, 1)),
  reductions.differentiable("prod", [real([4, 4])], (x) => tf.prod(x, 0)),
  reductions.differentiable("sum", cube, (x) => tf.sum(x, [0, 2], true)),

  products.differentiable("dot", [real([2, 3]), real([3])], (a, b) => tf.dot(a, b)),
  products.forward("einsum", [real([2, 3]), real([3, 4])], (a, b) => tf.einsum("ij,jk->ik", a, b)),
  products.differentiable(
    "fused.matMul",
    [real([2, 3]), real([3, 4]), real([4])],
    (a: tf.Tensor2D, b: tf.Tensor2D, bias) => tf.fused.matMul({ a, b, bias, activation: "relu" }),
  ),
  products.forward("linalg.bandPart", [real([3, 4])], (x) => tf.linalg.bandPart(x, 1, 0)),
  products.differentiable("linalg.gramSchmidt", [real([2, 3])], (x: tf.Tensor2D) => tf.linalg.gramSchmidt(x)),
  products.forward("linalg.qr", [real([3, 3])], (x) => tf.linalg.qr(x)),
  products.differentiable("matMul", [real([2, 3]), real([3, 4])], (a, b) => tf.matMul(a, b)),
  products.differentiable("matMul", [real([3, 2]), real([4, 3])], (a, b) => tf.matMul(a, b, true, true)),
  products.differentiable("matMul", [real([2, 2, 3]), real([2, 4, 3])], (a, b) =>
    tf.matMul(a, b, false, true),
  ),
  products.differentiable("matMul", [real([2, 3, 2]), real([2, 3, 4])], (a, b) => tf.matMul(a, b, true)),
  products.differentiable("matMul", [real([2, 2, 2, 3]), real([2, 2, 3, 2])], (a, b) => tf.matMul(a, b)),
  products.differentiable("matMul", [real([2, 2, 3, 2]), real([2, 2, 2, 3])], (a, b) =>
    tf.matMul(a, b, true, true),
  ),
  products.differentiable("outerProduct", [real([2]), real([3])], (a: Vector, b: Vector) =>
    tf.outerProduct(a, b),
  ),

  norms.differentiable(
    "batchNorm",
    [real([4, 3]), ...moments, ...affine],
    (x, mean: Vector, variance: Vector, offset: Vector, scale: Vector) =>
      tf.batchNorm(x, mean, variance, offset, scale),
  ),
  norms.differentiable(
    "batchNorm2d",
    [real([4, 3]), ...moments, ...affine],
    (x: tf.Tensor2D, mean: Vector, variance: Vector, offset: Vector, scale: Vector) =>
      tf.batchNorm2d(x, mean, variance, offset, scale),
  ),
  norms.differentiable(
    "batchNorm3d",
    [real([2, 2, 3]), ...moments, ...affine],
    (x: tf.Tensor3D, mean: Vector, variance: Vector, offset: Vector, scale: Vector) =>
      tf.batchNorm3d(x, mean, variance, offset, scale),
  ),
  norms.differentiable(
    "batchNorm4d",
    [real([2, 2, 2, 3]), ...moments, ...affine],
    (x: tf.Tensor4D, mean: Vector, variance: Vector, offset: Vector, scale: Vector) =>
      tf.batchNorm4d(x, mean, variance, offset, scale),
  ),
  norms.differentiable("localResponseNormalization", [real([1, 2, 2, 6])], (x: tf.Tensor4D) =>
    tf.localResponseNormalization(x, 2),
  ),
  norms.differentiable("logSoftmax", cube, (x) => tf.logSoftmax(x)),
  norms.differentiable("softmax", cube, (x) => tf.softmax(x)),

  losses.differentiable("losses.absoluteDifference", matrices, (a, b) => tf.losses.absoluteDifference(a, b)),
  losses.differentiable("losses.computeWeightedLoss", [real([2, 3]), whole([2, 3], 3)], (x, weights) =>
    tf.losses.computeWeightedLoss(x, tf.cast(weights, "float32")),
  ),
  losses.differentiable("losses.cosineDistance", matrices, (a, b) => tf.losses.cosineDistance(a, b, 1)),
  losses.differentiable("losses.hingeLoss", matrices, (a, b) => tf.losses.hingeLoss(a, b)),
  losses.differentiable("losses.huberLoss", matrices, (a, b) => tf.losses.huberLoss(a, b)),
  losses.differentiable("losses.logLoss", probabilities, (a, b) => tf.losses.logLoss(a, b)),
  losses.differentiable("losses.meanSquaredError", matrices, (a, b) => tf.losses.meanSquaredError(a, b)),
  losses.differentiable("losses.sigmoidCrossEntropy", probabilities, (a, b) =>
    tf.losses.sigmoidCrossEntropy(a, b),
  ),
  losses.differentiable("losses.softmaxCrossEntropy", [whole([2], 3), real([2, 3])], (i, logits) =>
    tf.losses.softmaxCrossEntropy(tf.oneHot(i, 3), logits),
  ),
  losses.differentiable("movingAverage", matrices, (v, x) => tf.movingAverage(v, x, 0.9, undefined, false)),

  recurrent.differentiable("basicLSTMCell", lstm, (kernel, bias, x, c, h) =>
    tf.basicLSTMCell(tf.scalar(1), ...([kernel, bias, x, c, h] as Lstm)),
  ),
  recurrent.differentiable("multiRNNCell", lstm, (...[kernel, bias, x, c, h]: Lstm) => {
    const cell = (x: tf.Tensor2D, c: tf.Tensor2D, h: tf.Tensor2D) =>
      tf.basicLSTMCell(tf.scalar(1), kernel, bias, x, c, h);
    return tf.multiRNNCell([cell], x, [c], [h]).flat();
  }),
];
