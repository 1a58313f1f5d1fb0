/** Pure functions of tensors with analytic gradients, on any tfjs backend and inside a captured step. */
export { accelerated } from "./accelerate.ts";
export { constant, float32, isDeclaredConstant, isFloat32Island } from "./ambient.ts";
export { attention, firstTokenAttention, type AttentionSegment } from "./attention.ts";
export { batchMoments, batchNorm, type BatchMoments, type ReduceMean } from "./batch-norm.ts";
export { nextCenter, teacherProbabilities } from "./centering.ts";
export { crossEntropy, softmaxCrossEntropy, temperedCrossEntropy, temperedSoftmax } from "./cross-entropy.ts";
export { fused, type Tensors } from "./fused.ts";
export { gelu } from "./gelu.ts";
export { columnGram, gram } from "./gram.ts";
export { layerNorm } from "./layer-norm.ts";
export { linear } from "./linear.ts";
export { patchWeights, replaceMasked } from "./masked-patches.ts";
export { l2Normalize } from "./normalize.ts";
export {
  bilinearWeights,
  overlapCoordinates,
  overlapSampling,
  sampleFeatures,
  type OverlapPair,
  type SampleCoordinates,
  type SamplePadding,
  type SampleWeights,
} from "./overlap.ts";
export { patchProjection } from "./patch-projection.ts";
export { bicubicMatrix, interpolatePositions, type GridSize } from "./position.ts";
export { recomputed } from "./recomputed.ts";
export { repeatBatch } from "./repeat-batch.ts";
export { mapRows } from "./row-chunks.ts";
export { gatherRows, gatherTokens, permuteRows } from "./rows.ts";
export {
  entropy,
  featureStd,
  relationVariation,
  targetSignals,
  type TargetSignals,
  type TargetSignalsOf,
} from "./signals.ts";
export { squaredNorm } from "./squared-norm.ts";
export { stopGradient } from "./stop-gradient.ts";
export { sumOverRows, type RowsOfLoss } from "./sum-over-rows.ts";
export { withGradient } from "./with-gradient.ts";
