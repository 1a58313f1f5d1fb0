import * as tf from "@tensorflow/tfjs-core";
import { group, real, truth, whole } from "./op-case.ts";

const arithmetic = group("Arithmetic");
const functions = group("Functions of each element");
const activations = group("Activations");
const comparisons = group("Comparisons and logic");

const shape = [2, 3] as const;
const any = [real(shape)];
const positive = [real(shape, 0.2, 2)];
const equalShapes = [real(shape), real(shape)];
const rowOf = [real(shape), real([3])];
const outer = [real([2, 1]), real([1, 3])];
const counts = [whole(shape, 3), whole(shape, 3)];
const flags = [truth(shape), truth(shape)];

export const elementwise = [
  arithmetic.differentiable("add", rowOf, (a, b) => tf.add(a, b)),
  arithmetic.differentiable("add", outer, (a, b) => tf.add(a, b)),
  arithmetic.differentiable("addN", equalShapes, (a, b) => tf.addN([a, b])),
  arithmetic.differentiable("atan2", rowOf, (a, b) => tf.atan2(a, b)),
  arithmetic.differentiable("atan2", outer, (a, b) => tf.atan2(a, b)),
  arithmetic.differentiable("div", [real(shape), real([3], 0.5, 2)], (a, b) => tf.div(a, b)),
  arithmetic.differentiable("div", [real([2, 1]), real([1, 3], 0.5, 2)], (a, b) => tf.div(a, b)),
  arithmetic.forward("divNoNan", [real(shape), real([3], 0.5, 2)], (a, b) => tf.divNoNan(a, b)),
  arithmetic.forward("floorDiv", [real(shape, 1, 9), real([3], 1, 3)], (a, b) => tf.floorDiv(a, b)),
  arithmetic.differentiable("maximum", equalShapes, (a, b) => tf.maximum(a, b)),
  arithmetic.differentiable("minimum", equalShapes, (a, b) => tf.minimum(a, b)),
  arithmetic.differentiable("mod", [real(shape, 1, 9), real([3], 1, 3)], (a, b) => tf.mod(a, b)),
  arithmetic.differentiable("mod", [real([2, 1], 1, 8), real([1, 3], 1, 3)], (a, b) => tf.mod(a, b)),
  arithmetic.differentiable("mul", rowOf, (a, b) => tf.mul(a, b)),
  arithmetic.differentiable("mul", outer, (a, b) => tf.mul(a, b)),
  arithmetic.differentiable("neg", any, (x) => tf.neg(x)),
  arithmetic.differentiable("pow", [real(shape, 0.2, 2), real([3])], (a, b) => tf.pow(a, b)),
  arithmetic.differentiable("pow", [real([2, 1], 0.2, 2), real([1, 3])], (a, b) => tf.pow(a, b)),
  arithmetic.differentiable("squaredDifference", equalShapes, (a, b) => tf.squaredDifference(a, b)),
  arithmetic.differentiable("sub", rowOf, (a, b) => tf.sub(a, b)),
  arithmetic.differentiable("sub", outer, (a, b) => tf.sub(a, b)),

  functions.differentiable("abs", any, (x) => tf.abs(x)),
  functions.differentiable("acos", any, (x) => tf.acos(x)),
  functions.differentiable("acosh", [real(shape, 1.1, 3)], (x) => tf.acosh(x)),
  functions.differentiable("asin", any, (x) => tf.asin(x)),
  functions.differentiable("asinh", any, (x) => tf.asinh(x)),
  functions.differentiable("atan", any, (x) => tf.atan(x)),
  functions.differentiable("atanh", [real(shape, -0.9, 0.9)], (x) => tf.atanh(x)),
  functions.zero("ceil", [real(shape, -3, 3)], (x) => tf.ceil(x)),
  functions.differentiable("clipByValue", any, (x) => tf.clipByValue(x, -0.5, 0.4)),
  functions.differentiable("cos", any, (x) => tf.cos(x)),
  functions.differentiable("cosh", any, (x) => tf.cosh(x)),
  functions.differentiable("erf", any, (x) => tf.erf(x)),
  functions.differentiable("exp", any, (x) => tf.exp(x)),
  functions.differentiable("expm1", any, (x) => tf.expm1(x)),
  functions.zero("floor", [real(shape, -3, 3)], (x) => tf.floor(x)),
  functions.differentiable("log", positive, (x) => tf.log(x)),
  functions.differentiable("log1p", positive, (x) => tf.log1p(x)),
  functions.differentiable("reciprocal", positive, (x) => tf.reciprocal(x)),
  functions.zero("round", [real(shape, -3, 3)], (x) => tf.round(x)),
  functions.differentiable("rsqrt", positive, (x) => tf.rsqrt(x)),
  functions.zero("sign", any, (x) => tf.sign(x)),
  functions.differentiable("sin", any, (x) => tf.sin(x)),
  functions.differentiable("sinh", any, (x) => tf.sinh(x)),
  functions.differentiable("sqrt", positive, (x) => tf.sqrt(x)),
  functions.differentiable("square", any, (x) => tf.square(x)),
  functions.differentiable("tan", any, (x) => tf.tan(x)),
  functions.differentiable("tanh", any, (x) => tf.tanh(x)),

  activations.differentiable("elu", any, (x) => tf.elu(x)),
  activations.differentiable("leakyRelu", any, (x) => tf.leakyRelu(x, 0.1)),
  activations.differentiable("logSigmoid", any, (x) => tf.logSigmoid(x)),
  activations.differentiable("prelu", [real(shape), real([3], 0.1, 0.5)], (x, alpha) => tf.prelu(x, alpha)),
  activations.differentiable("relu", any, (x) => tf.relu(x)),
  activations.differentiable("relu6", [real(shape, -2, 9)], (x) => tf.relu6(x)),
  activations.differentiable("selu", any, (x) => tf.selu(x)),
  activations.differentiable("sigmoid", any, (x) => tf.sigmoid(x)),
  activations.differentiable("softplus", any, (x) => tf.softplus(x)),
  activations.zero("step", any, (x) => tf.step(x, 0.5)),

  comparisons.forward("equal", counts, (a, b) => tf.equal(a, b)),
  comparisons.forward("greater", rowOf, (a, b) => tf.greater(a, b)),
  comparisons.zero("greaterEqual", equalShapes, (a, b) => tf.greaterEqual(a, b)),
  comparisons.zero("isFinite", any, (x) => tf.isFinite(tf.log(x))),
  comparisons.zero("isInf", any, (x) => tf.isInf(tf.square(tf.mul(x, 3e19)))),
  comparisons.zero("isNaN", any, (x) => tf.isNaN(tf.log(x))),
  comparisons.forward("less", rowOf, (a, b) => tf.less(a, b)),
  comparisons.forward("lessEqual", rowOf, (a, b) => tf.lessEqual(a, b)),
  comparisons.forward("logicalAnd", flags, (a, b) => tf.logicalAnd(a, b)),
  comparisons.forward("logicalNot", [truth(shape)], (a) => tf.logicalNot(a)),
  comparisons.forward("logicalOr", flags, (a, b) => tf.logicalOr(a, b)),
  comparisons.forward("logicalXor", flags, (a, b) => tf.logicalXor(a, b)),
  comparisons.forward("notEqual", [whole(shape, 3), whole([3], 2)], (a, b) => tf.notEqual(a, b)),
];
