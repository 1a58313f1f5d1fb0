/** What usually helps where an op fails or gives no finite number. Names are those of tfjs and TensorFlow. */

/** How operands fit, by op. */
export const operandRules: Readonly<Record<string, string>> = {
  matMul:
    "the columns of the first are the rows of the second: transpose one (matMul's transposeA and transposeB) or reshape it",
  reshape: "the old and the new shape hold equally many values; -1 stands for what is left",
  concat: "the tensors agree in all dimensions but that of the axis",
  stack: "the tensors have one shape",
  split: "the number of parts divides the axis; an array gives the size of each part",
  slice: "begin and size stay inside of the tensor; a size of -1 takes the rest",
  gather: "indices are int32, from 0 to the axis's length - 1",
  transpose: "name each axis once",
};

/** @param problem what the op says */
export function operandAdvice(op: string, problem: string): string {
  if (/must be a Tensor|must be a tensor/i.test(problem))
    return "it is given something that is no tensor: a misspelt name, or a function that returns nothing";
  const wanted = /must be (\w+) tensor, but got/.exec(problem)?.[1];
  if (wanted !== undefined) return `make it ${wanted} with tf.cast`;
  // Kernels are called as their ops are, but for the first letter.
  const own =
    operandRules[op.charAt(0).toLowerCase() + op.slice(1)] ??
    "shapes are aligned from the last dimension, where each is equal or 1";
  return `${own}; console.log(x.shape) in the hook shows a shape, also while the step is captured`;
}

const root = "a root's gradient is infinite at 0: add an epsilon under it, or use l2Normalize";
const divisor = "add an epsilon to the divisor, or take tf.maximum(divisor, 1e-6)";
const exponential =
  "float32 overflows from exp(89): subtract the row's maximum, or use tf.softmax, tf.logSumExp";
const inverse = "its gradient is infinite at -1 and 1: tf.clipByValue what it is given to -0.999 … 0.999";

/** What keeps a result, or a gradient, finite, by kernel or TensorFlow's op. */
export const finiteRules: Readonly<Record<string, string>> = {
  Log: "the logarithm of 0 is -Infinity, of less NaN: add an epsilon, tf.log(tf.add(x, 1e-6)), or use tf.logSoftmax or softmaxCrossEntropy",
  Log1p: "the logarithm of 0 is -Infinity, of less NaN: add an epsilon",
  Sqrt: root,
  Rsqrt: root,
  RealDiv: divisor,
  Div: divisor,
  Reciprocal: divisor,
  Exp: exponential,
  Expm1: exponential,
  Pow: "a power of a negative base is NaN, and below 1 has an infinite gradient at 0: add an epsilon to tf.abs of it",
  Acos: inverse,
  Asin: inverse,
  Atanh: inverse,
};

/** Undefined where the op is not known to overflow by itself. */
export function finiteAdvice(
  origin: { readonly op: string; readonly gradientOf?: string } | undefined,
): string | undefined {
  return finiteRules[origin?.gradientOf ?? ""] ?? finiteRules[origin?.op ?? ""];
}
