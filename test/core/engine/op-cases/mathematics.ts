import * as tf from "@tensorflow/tfjs-core";
import { group, real, truth, whole } from "./op-case.ts";

const reductions = group("Reductions");
const products = group("Products and linear algebra");
const norms = group("Softmax and norms");
const losses = group("Losses");

const matrix = [real([2, 3])];
const cube = [real([2, 3, 4])];
const square = [real([2, 3]), real([2, 3])];
const probabilities = [real([2, 3], 0.05, 0.95), real([2, 3], 0.05, 0.95)];

export const mathematics = [
  reductions.forward("all", [truth([2, 3])], (x) => tf.all(x, 1)),
  reductions.forward("any", [truth([2, 3])], (x) => tf.any(x, 0)),
  reductions.forward("bincount", [whole([6], 4), real([6])], (x: tf.Tensor1D, w: tf.Tensor1D) => tf.bincount(x, w, 4)),
  reductions.forward("denseBincount", [whole([6], 4), real([6])], (x: tf.Tensor1D, w: tf.Tensor1D) => tf.denseBincount(x, w, 4)), // prettier-ignore
  reductions.differentiable("cumprod", cube, (x) => tf.cumprod(x, 1)),
  reductions.differentiable("cumsum", cube, (x) => tf.cumsum(x, 1, true, true)),
  reductions.differentiable("euclideanNorm", cube, (x) => tf.euclideanNorm(x, 1)),
  reductions.differentiable("logSumExp", cube, (x) => tf.logSumExp(x, 2, true)),
  reductions.differentiable("max", cube, (x) => tf.max(x, [0, 2])),
  reductions.differentiable("mean", cube, (x) => tf.mean(x, 1, true)),
  reductions.differentiable("min", cube, (x) => tf.min(x, 1)),
  reductions.differentiable("moments", cube, (x) => Object.values(tf.moments(x, [0, 1]))),
  reductions.differentiable("norm", cube, (x) => tf.norm(x, "euclidean", 2)),
  reductions.differentiable("prod", cube, (x) => tf.prod(x, 1)),
  reductions.differentiable("sum", cube, (x) => tf.sum(x, [0, 2], true)),

  products.differentiable("dot", [real([2, 3]), real([3])], (a, b) => tf.dot(a, b)),
  products.differentiable("einsum", [real([2, 3]), real([3, 4])], (a, b) => tf.einsum("ij,jk->ik", a, b)),
  products.differentiable("fused.matMul", [real([2, 3]), real([3, 4]), real([4])], (a: tf.Tensor2D, b: tf.Tensor2D, bias) =>
    tf.fused.matMul({ a, b, bias, activation: "relu" })), // prettier-ignore
  products.differentiable("matMul", [real([2, 3]), real([3, 4])], (a, b) => tf.matMul(a, b)),
  products.differentiable("matMul", [real([3, 2]), real([4, 3])], (a, b) => tf.matMul(a, b, true, true)),
  products.differentiable("matMul", [real([2, 2, 3]), real([2, 4, 3])], (a, b) => tf.matMul(a, b, false, true)),
  products.differentiable("matMul", [real([1, 3, 2]), real([2, 3, 4])], (a, b) => tf.matMul(a, b, true)),
  products.differentiable("matMul", [real([2, 2, 2, 3]), real([2, 2, 3, 2])], (a, b) => tf.matMul(a, b)),
  products.differentiable("matMul", [real([2, 2, 3, 2]), real([2, 2, 2, 3])], (a, b) => tf.matMul(a, b, true, true)),
  products.differentiable("outerProduct", [real([2]), real([3])], (a: tf.Tensor1D, b: tf.Tensor1D) => tf.outerProduct(a, b)),
  products.differentiable("linalg.bandPart", [real([3, 4])], (x) => tf.linalg.bandPart(x, 1, 0)),
  products.differentiable("linalg.gramSchmidt", [real([2, 3])], (x: tf.Tensor2D) => tf.linalg.gramSchmidt(x)),
  products.differentiable("linalg.qr", [real([3, 3])], (x) => tf.linalg.qr(x)),

  norms.differentiable("batchNorm", [real([4, 3]), real([3]), real([3], 0.5, 2), real([3]), real([3])], (x, mean: tf.Tensor1D, variance: tf.Tensor1D, offset: tf.Tensor1D, scale: tf.Tensor1D) =>
    tf.batchNorm(x, mean, variance, offset, scale)), // prettier-ignore
  norms.differentiable("batchNorm2d", [real([4, 3]), real([3]), real([3], 0.5, 2)], (x: tf.Tensor2D, mean: tf.Tensor1D, variance: tf.Tensor1D) => tf.batchNorm2d(x, mean, variance)),
  norms.differentiable("batchNorm3d", [real([2, 2, 3]), real([3]), real([3], 0.5, 2)], (x: tf.Tensor3D, mean: tf.Tensor1D, variance: tf.Tensor1D) => tf.batchNorm3d(x, mean, variance)),
  norms.differentiable("batchNorm4d", [real([2, 2, 2, 3]), real([3]), real([3], 0.5, 2)], (x: tf.Tensor4D, mean: tf.Tensor1D, variance: tf.Tensor1D) => tf.batchNorm4d(x, mean, variance)),
  norms.differentiable("localResponseNormalization", [real([1, 2, 2, 6])], (x: tf.Tensor4D) => tf.localResponseNormalization(x, 2)),
  norms.differentiable("logSoftmax", cube, (x) => tf.logSoftmax(x)),
  norms.differentiable("softmax", cube, (x) => tf.softmax(x)),

  losses.differentiable("losses.absoluteDifference", square, (a, b) => tf.losses.absoluteDifference(a, b)),
  losses.differentiable("losses.computeWeightedLoss", square, (a, b) => tf.losses.computeWeightedLoss(a, b)),
  losses.differentiable("losses.cosineDistance", square, (a, b) => tf.losses.cosineDistance(a, b, 1)),
  losses.differentiable("losses.hingeLoss", square, (a, b) => tf.losses.hingeLoss(a, b)),
  losses.differentiable("losses.huberLoss", square, (a, b) => tf.losses.huberLoss(a, b)),
  losses.differentiable("losses.logLoss", probabilities, (a, b) => tf.losses.logLoss(a, b)),
  losses.differentiable("losses.meanSquaredError", square, (a, b) => tf.losses.meanSquaredError(a, b)),
  losses.differentiable("losses.sigmoidCrossEntropy", probabilities, (a, b) => tf.losses.sigmoidCrossEntropy(a, b)),
  losses.differentiable("losses.softmaxCrossEntropy", probabilities, (a, b) => tf.losses.softmaxCrossEntropy(a, b)),
  reductions.differentiable("movingAverage", matrix, (x) => tf.movingAverage(x, tf.zerosLike(x), 0.9)),
];
