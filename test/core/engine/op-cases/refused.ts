/** Ops that do not capture, and arguments for which others do not capture or have no gradient. */
import * as tf from "@tensorflow/tfjs-core";
import { real, type Body, type OpCase, type Sample } from "./op-case.ts";

export interface RefusedOp {
  readonly op: string;
  readonly reason: "random" | "shape" | "value" | "missing";
  /** What a plugin does instead. */
  readonly instead: string;
  readonly run: () => unknown;
}

/** Headings of docs/ops.md, and the code of the error. */
export const reasons = {
  random: { title: "Random, and would be frozen", code: "STATEFUL_OP" },
  shape: { title: "The result's shape depends on values", code: "DYNAMIC_SHAPE" },
  value: { title: "Reads values", code: "VALUE_READ_WHILE_TRACING" },
  missing: { title: "No kernel for TensorFlow", code: "OP_MISSING" },
} as const;

const FROM_INPUT = "an `input` of setup, drawn from the random stream that its sampler gets";
const BY_WEIGHT = "weights of 0 and 1, with `mul` or `where`";
const AT_SETUP = "an `input` of setup, computed in its sampler";

const two = () => tf.tensor1d([0.5, 0.25]);
const wholes = () => tf.tensor1d([1, 0], "int32");
const boxes = () => tf.tensor2d([[0, 0, 1, 1], [0, 0, 0.5, 0.5]]); // prettier-ignore
const image = () => tf.zeros<tf.Rank.R4>([1, 2, 2, 3]);
/** Computed, so that its value is not known while tracing. */
const mask = () => tf.greater(tf.add(two(), 0), 0.3);
const texts = () => tf.tensor1d(["a"], "string");

const random = (op: string, run: () => unknown): RefusedOp => ({
  op,
  reason: "random",
  instead: FROM_INPUT,
  run,
});
const because =
  (reason: RefusedOp["reason"]) =>
  (op: string, instead: string, run: () => unknown): RefusedOp => ({ op, reason, instead, run });
const [shape, value, missing] = [because("shape"), because("value"), because("missing")];

export const refused: readonly RefusedOp[] = [
  random("dropout", () => tf.dropout(two(), 0.5, undefined, 1)),
  random("multinomial", () => tf.multinomial(two(), 2)),
  random("rand", () => tf.rand([2], () => 0.5)),
  random("randomGamma", () => tf.randomGamma([2], 1, 1, "float32", 1)),
  random("randomNormal", () => tf.randomNormal([2], 0, 1, "float32", 1)),
  random("randomStandardNormal", () => tf.randomStandardNormal([2], "float32", 1)),
  random("randomUniform", () => tf.randomUniform([2], 0, 1, "float32", 1)),
  random("randomUniformInt", () => tf.randomUniformInt([2], 0, 9, 1)),
  random("truncatedNormal", () => tf.truncatedNormal([2], 0, 1, "float32", 1)),

  shape("image.nonMaxSuppression", BY_WEIGHT, () => tf.image.nonMaxSuppression(boxes(), two(), 1)),
  shape("image.nonMaxSuppressionPadded", BY_WEIGHT, () =>
    tf.image.nonMaxSuppressionPadded(boxes(), two(), 1),
  ),
  shape("image.nonMaxSuppressionWithScore", BY_WEIGHT, () =>
    tf.image.nonMaxSuppressionWithScore(boxes(), two(), 1),
  ),
  shape("unique", "`unsortedSegmentSum` over a fixed number of classes", () => tf.unique(two())),

  value("booleanMaskAsync", BY_WEIGHT, () => tf.booleanMaskAsync(two(), mask())),
  value("image.nonMaxSuppressionAsync", BY_WEIGHT, () =>
    tf.image.nonMaxSuppressionAsync(tf.add(boxes(), 0), two(), 1),
  ),
  value("image.nonMaxSuppressionPaddedAsync", BY_WEIGHT, () =>
    tf.image.nonMaxSuppressionPaddedAsync(tf.add(boxes(), 0), two(), 1),
  ),
  value("image.nonMaxSuppressionWithScoreAsync", BY_WEIGHT, () =>
    tf.image.nonMaxSuppressionWithScoreAsync(tf.add(boxes(), 0), two(), 1),
  ),
  value("inTopKAsync", "`topk` and `equal`", () => tf.inTopKAsync(tf.add(boxes(), 0), wholes(), 1)),
  value("print", "`losses.metric`", () => tf.print(tf.add(two(), 0))),
  value("setdiff1dAsync", BY_WEIGHT, () => tf.setdiff1dAsync(tf.add(two(), 0), two())),
  value("whereAsync", BY_WEIGHT, () => tf.whereAsync(mask())),

  missing("bitwiseAnd", "`logicalAnd`, `floorDiv` and `mod`", () => tf.bitwiseAnd(wholes(), wholes())),
  missing("denseBincount", "`bincount`", () => tf.denseBincount(wholes() as tf.Tensor1D, two(), 2)),
  missing("image.rotateWithOffset", "`gather` with indices from an `input` of setup", () =>
    tf.image.rotateWithOffset(image(), 0.5),
  ),
  missing("image.transform", "`gather` with indices from an `input` of setup", () =>
    tf.image.transform(image(), tf.tensor2d([[1, 0, 0, 0, 1, 0, 0, 0]])),
  ),
  missing("lowerBound", "`sum` of `less`", () => tf.lowerBound(two(), two())),
  missing("maxPoolWithArgmax", "`maxPool`", () => tf.maxPoolWithArgmax(image(), 2, 1, "valid")),
  missing("raggedGather", AT_SETUP, () => tf.raggedGather([wholes()], two(), wholes(), 1)),
  missing("raggedRange", AT_SETUP, () => tf.raggedRange(wholes(), wholes(), wholes())),
  missing("raggedTensorToTensor", AT_SETUP, () =>
    tf.raggedTensorToTensor(wholes(), two(), tf.scalar(0), [wholes()], ["ROW_SPLITS"]),
  ),
  missing("searchSorted", "`sum` of `less`", () => tf.searchSorted(two(), two())),
  missing("sparse.sparseFillEmptyRows", AT_SETUP, () =>
    tf.sparse.sparseFillEmptyRows(tf.zeros([1, 2], "int32"), tf.ones([1]), wholes(), tf.scalar(0)),
  ),
  missing("sparse.sparseReshape", AT_SETUP, () =>
    tf.sparse.sparseReshape(tf.zeros([1, 2], "int32"), wholes(), wholes()),
  ),
  missing("sparse.sparseSegmentMean", "`unsortedSegmentSum` and `div`", () =>
    tf.sparse.sparseSegmentMean(boxes(), wholes(), wholes()),
  ),
  missing("sparse.sparseSegmentSum", "`unsortedSegmentSum`", () =>
    tf.sparse.sparseSegmentSum(boxes(), wholes(), wholes()),
  ),
  missing("string.staticRegexReplace", AT_SETUP, () => tf.string.staticRegexReplace(texts(), "a", "b")),
  missing("string.stringNGrams", AT_SETUP, () =>
    tf.string.stringNGrams(texts(), tf.tensor1d([0, 1], "int32"), "|", [1], "", "", 0, false),
  ),
  missing("string.stringSplit", AT_SETUP, () => tf.string.stringSplit(texts(), tf.scalar(" "))),
  missing("string.stringToHashBucketFast", AT_SETUP, () => tf.string.stringToHashBucketFast(texts(), 3)),
  missing("upperBound", "`sum` of `lessEqual`", () => tf.upperBound(two(), two())),
];

/** An op of the table with arguments for which the table does not hold. */
export interface Limit {
  readonly op: string;
  readonly text: string;
  readonly inputs: readonly Sample[];
  readonly run: OpCase["run"];
  /**
   * no gradient: asking for it is an error; wrong gradient: tfjs gives another one; otherwise the code of the
   * error that it does not capture with.
   */
  readonly outcome: "no gradient" | "wrong gradient" | "UNDECLARED_CONSTANT";
}

const limit =
  (outcome: Limit["outcome"]) =>
  (op: string, text: string, inputs: readonly Sample[], run: Body): Limit => ({
    op,
    text,
    inputs,
    run: run as OpCase["run"],
    outcome,
  });
const noGradient = limit("no gradient");
const wrongGradient = limit("wrong gradient");
const tooLarge = (op: string, text: string, run: () => tf.Tensor) =>
  limit("UNDECLARED_CONSTANT")(op, `up to 256 values; ${text}`, [], run);

const row = [real([2, 3]), real([3])];
const equalShapes = "a gradient only between equal shapes";
const dilations = "no gradient with dilations";
const image6 = real([1, 6, 6, 2]);

export const limits: readonly Limit[] = [
  noGradient(
    "batchNorm",
    "a gradient only with `scale`",
    [real([4, 3]), real([3]), real([3], 0.5, 2)],
    (x, mean: tf.Tensor1D, variance: tf.Tensor1D) => tf.batchNorm(x, mean, variance),
  ),
  noGradient("conv2d", dilations, [image6, real([2, 2, 2, 3])], (x: tf.Tensor4D, filter: tf.Tensor4D) =>
    tf.conv2d(x, filter, 1, "same", "NHWC", 2),
  ),
  noGradient(
    "depthwiseConv2d",
    dilations,
    [image6, real([2, 2, 2, 1])],
    (x: tf.Tensor4D, filter: tf.Tensor4D) => tf.depthwiseConv2d(x, filter, 1, "same", "NHWC", 2),
  ),
  tooLarge("eye", "beyond, `oneHot` of an int32 `range`", () => tf.eye(20)),
  noGradient(
    "losses.computeWeightedLoss",
    "no gradient to the weights",
    [real([2, 3]), real([2, 3], 0.5, 1)],
    (x, weights) => tf.losses.computeWeightedLoss(x, weights),
  ),
  wrongGradient(
    "losses.softmaxCrossEntropy",
    "rows of labels sum to 1, and its gradient to the labels is wrong: `stopGradient` them, or use `crossEntropy`",
    [real([2, 3], 0.05, 0.95), real([2, 3])],
    (labels, logits) => tf.losses.softmaxCrossEntropy(labels, logits),
  ),
  noGradient("matMul", "a gradient only of equal batch sizes", [real([1, 3, 2]), real([2, 2, 4])], (a, b) =>
    tf.matMul(a, b),
  ),
  noGradient("maximum", equalShapes, row, (a, b) => tf.maximum(a, b)),
  noGradient("minimum", equalShapes, row, (a, b) => tf.minimum(a, b)),
  tooLarge("signal.hammingWindow", "beyond, compute it into a `constant`", () =>
    tf.signal.hammingWindow(300),
  ),
  tooLarge("signal.hannWindow", "beyond, compute it into a `constant`", () => tf.signal.hannWindow(300)),
  noGradient("squaredDifference", equalShapes, row, (a, b) => tf.squaredDifference(a, b)),
  tooLarge("tensor", "beyond, `constant`; the same for `tensor1d` and so on", () =>
    tf.tensor(Float32Array.from({ length: 300 }, (_, i) => i)),
  ),
];
