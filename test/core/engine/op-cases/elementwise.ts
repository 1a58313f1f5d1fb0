import * as tf from "@tensorflow/tfjs-core";
import { group, real, truth, whole } from "./op-case.ts";

const arithmetic = group("Arithmetic");
const functions = group("Functions of each element");
const activations = group("Activations");
const comparisons = group("Comparisons and logic");

const matrix = [2, 3] as const;
const any = [real(matrix)];
const positive = [real(matrix, 0.2, 2)];
const two = [real(matrix), real(matrix)];
const rowOf = [real(matrix), real([3])];

export const elementwise = [
  arithmetic.differentiable("add", rowOf, (a, b) => tf.add(a, b)),
  arithmetic.differentiable("addN", two, (a, b) => tf.addN([a, b])),
  arithmetic.differentiable("sub", rowOf, (a, b) => tf.sub(a, b)),
  arithmetic.differentiable("mul", rowOf, (a, b) => tf.mul(a, b)),
  arithmetic.differentiable("div", [real(matrix), real([3], 0.5, 2)], (a, b) => tf.div(a, b)),
  arithmetic.differentiable("divNoNan", [real(matrix), real([3], 0.5, 2)], (a, b) => tf.divNoNan(a, b)),
  arithmetic.differentiable("floorDiv", [real(matrix, 1, 9), real([3], 1, 3)], (a, b) => tf.floorDiv(a, b)),
  arithmetic.differentiable("mod", [real(matrix, 1, 9), real([3], 1, 3)], (a, b) => tf.mod(a, b)),
  arithmetic.differentiable("pow", [real(matrix, 0.2, 2), real([3])], (a, b) => tf.pow(a, b)),
  arithmetic.differentiable("maximum", two, (a, b) => tf.maximum(a, b)),
  arithmetic.differentiable("minimum", two, (a, b) => tf.minimum(a, b)),
  arithmetic.differentiable("squaredDifference", rowOf, (a, b) => tf.squaredDifference(a, b)),
  arithmetic.differentiable("atan2", two, (a, b) => tf.atan2(a, b)),
  arithmetic.differentiable("neg", any, (x) => tf.neg(x)),
  arithmetic.differentiable("bitwiseAnd", [whole(matrix, 16), whole(matrix, 16)], (a, b) => tf.bitwiseAnd(a, b)),

  functions.differentiable("abs", any, (x) => tf.abs(x)),
  functions.differentiable("acos", any, (x) => tf.acos(x)),
  functions.differentiable("acosh", [real(matrix, 1.1, 3)], (x) => tf.acosh(x)),
  functions.differentiable("asin", any, (x) => tf.asin(x)),
  functions.differentiable("asinh", any, (x) => tf.asinh(x)),
  functions.differentiable("atan", any, (x) => tf.atan(x)),
  functions.differentiable("atanh", [real(matrix, -0.9, 0.9)], (x) => tf.atanh(x)),
  functions.differentiable("ceil", [real(matrix, -3, 3)], (x) => tf.ceil(x)),
  functions.differentiable("clipByValue", any, (x) => tf.clipByValue(x, -0.5, 0.4)),
  functions.differentiable("cos", any, (x) => tf.cos(x)),
  functions.differentiable("cosh", any, (x) => tf.cosh(x)),
  functions.differentiable("erf", any, (x) => tf.erf(x)),
  functions.differentiable("exp", any, (x) => tf.exp(x)),
  functions.differentiable("expm1", any, (x) => tf.expm1(x)),
  functions.differentiable("floor", [real(matrix, -3, 3)], (x) => tf.floor(x)),
  functions.differentiable("log", positive, (x) => tf.log(x)),
  functions.differentiable("log1p", positive, (x) => tf.log1p(x)),
  functions.differentiable("reciprocal", positive, (x) => tf.reciprocal(x)),
  functions.differentiable("round", [real(matrix, -3, 3)], (x) => tf.round(x)),
  functions.differentiable("rsqrt", positive, (x) => tf.rsqrt(x)),
  functions.differentiable("sign", any, (x) => tf.sign(x)),
  functions.differentiable("sin", any, (x) => tf.sin(x)),
  functions.differentiable("sinh", any, (x) => tf.sinh(x)),
  functions.differentiable("sqrt", positive, (x) => tf.sqrt(x)),
  functions.differentiable("square", any, (x) => tf.square(x)),
  functions.differentiable("tan", any, (x) => tf.tan(x)),
  functions.differentiable("tanh", any, (x) => tf.tanh(x)),

  activations.differentiable("elu", any, (x) => tf.elu(x)),
  activations.differentiable("leakyRelu", any, (x) => tf.leakyRelu(x, 0.1)),
  activations.differentiable("logSigmoid", any, (x) => tf.logSigmoid(x)),
  activations.differentiable("prelu", [real(matrix), real([3], 0.1, 0.5)], (x, alpha) => tf.prelu(x, alpha)),
  activations.differentiable("relu", any, (x) => tf.relu(x)),
  activations.differentiable("relu6", [real(matrix, -2, 9)], (x) => tf.relu6(x)),
  activations.differentiable("selu", any, (x) => tf.selu(x)),
  activations.differentiable("sigmoid", any, (x) => tf.sigmoid(x)),
  activations.differentiable("softplus", any, (x) => tf.softplus(x)),
  activations.differentiable("step", any, (x) => tf.step(x, 0.5)),

  comparisons.differentiable("equal", [whole(matrix, 3), whole(matrix, 3)], (a, b) => tf.equal(a, b)),
  comparisons.differentiable("notEqual", [whole(matrix, 3), whole(matrix, 3)], (a, b) => tf.notEqual(a, b)),
  comparisons.differentiable("greater", two, (a, b) => tf.greater(a, b)),
  comparisons.differentiable("greaterEqual", two, (a, b) => tf.greaterEqual(a, b)),
  comparisons.differentiable("less", two, (a, b) => tf.less(a, b)),
  comparisons.differentiable("lessEqual", two, (a, b) => tf.lessEqual(a, b)),
  comparisons.differentiable("logicalAnd", [truth(matrix), truth(matrix)], (a, b) => tf.logicalAnd(a, b)),
  comparisons.differentiable("logicalOr", [truth(matrix), truth(matrix)], (a, b) => tf.logicalOr(a, b)),
  comparisons.differentiable("logicalXor", [truth(matrix), truth(matrix)], (a, b) => tf.logicalXor(a, b)),
  comparisons.differentiable("logicalNot", [truth(matrix)], (a) => tf.logicalNot(a)),
  comparisons.differentiable("isFinite", any, (x) => tf.isFinite(tf.log(x))),
  comparisons.differentiable("isInf", any, (x) => tf.isInf(tf.log(x))),
  comparisons.differentiable("isNaN", any, (x) => tf.isNaN(tf.log(x))),
];
