/**
 * Where bf16 is used. tfjs has no bf16 dtype: bf16 values live between ops of the graph, and tfjs sees float32.
 *
 * Matrix products take their inputs in bf16 and give bf16; ops that only move values, and the few that follow
 * a product directly, keep it; everything else (norms, cross-entropy, resampling, the optimizer) gets float32.
 */
import { isFloat32Island } from "../math/ambient.ts";
import { DataType } from "./c-api.ts";

/** Of matrix products; `train.precision` of the config. */
export type Precision = "fp32" | "bf16";

const products = new Set(["MatMul", "BatchMatMulV2"]);

/** Of one float input. */
const moving = new Set([
  "Reshape", "Transpose", "Slice", "StridedSlice", "SplitV", "Unpack", "Identity", "Tile", "ExpandDims", "Squeeze",
  "GatherV2", "Snapshot",
]); // prettier-ignore

const transparent = new Set([
  ...moving,
  "ConcatV2", "PadV2", "Pack",
  // follow a matrix product
  "BiasAdd", "Softmax", "Relu", "ReluGrad", "Mul", "Sub",
]); // prettier-ignore

/** Whether the op gives its first input's values, or some of them, as they are. */
export function movesValues(op: string): boolean {
  return moving.has(op);
}

export interface CastInput {
  readonly dtype: number;
  /** A scalar constant takes the type of what it meets. */
  readonly isScalarConstant: boolean;
}

/** The float type that an op's float inputs are cast to, or undefined where nothing needs a cast. */
export function computeType(
  op: string,
  inputs: readonly CastInput[],
  precision: Precision,
): number | undefined {
  const floats = inputs.filter((i) => i.dtype === DataType.FLOAT || i.dtype === DataType.BFLOAT16);
  if (floats.length === 0 || precision === "fp32") return undefined;
  if (products.has(op) && !isFloat32Island()) return DataType.BFLOAT16;
  if (!floats.some((i) => i.dtype === DataType.BFLOAT16)) return undefined;
  if (isFloat32Island()) return DataType.FLOAT;
  if (op === "BiasAdd") return inputs[0]!.dtype;
  const keeps =
    transparent.has(op) && floats.every((i) => i.dtype === DataType.BFLOAT16 || i.isScalarConstant);
  return keeps ? DataType.BFLOAT16 : DataType.FLOAT;
}
