/**
 * Where bf16 is used. tfjs has no bf16 dtype: bf16 values live between ops of the graph, and tfjs sees float32.
 *
 * Matrix products take their inputs in bf16 and give bf16; ops that only move values, and the few that follow
 * a product directly, keep it; everything else (norms, cross-entropy, resampling, the optimizer) gets float32.
 */
import { isFloat32Island } from "../math/ambient.ts";
import { DataType } from "./c-api.ts";
import type { Demand, TracedTensor } from "./frame.ts";
import type { OpAttribute } from "./kernel-layer.ts";

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

/** How an op of tfjs's is added. */
export interface Autocast {
  /** What its float inputs are cast to; undefined where nothing needs a cast. */
  readonly type?: number;
  readonly attributes: readonly OpAttribute[];
  /** Of its results: that of the input whose values it moves. */
  readonly demand?: Demand;
}

/** Decides on an op's casts, and notes how it reads what has a demand. */
export function autocast(
  op: string,
  attributes: readonly OpAttribute[],
  inputs: readonly TracedTensor[],
  precision: Precision,
): Autocast {
  if (op === "Cast") {
    const { dtype: source, demand } = inputs[0]!;
    if (demand) demand.wide = true;
    return { attributes: attributes.map((a) => (a.name === "SrcT" ? { ...a, value: source } : a)) };
  }
  const type = computeType(op, inputs, precision);
  const moved = moving.has(op) ? inputs[0]!.demand : undefined;
  for (const { demand } of inputs) {
    if (!demand || demand === moved) continue;
    demand[type === DataType.BFLOAT16 ? "narrow" : "wide"] = true;
  }
  if (type === undefined) return { attributes, demand: moved };
  const retyped = attributes.map((a) =>
    (a.name === "T" || a.name === "Tparams") && a.value === DataType.FLOAT ? { ...a, value: type } : a,
  );
  return { type, attributes: retyped, demand: moved };
}

export const isFloat = (dtype: number): boolean => dtype === DataType.FLOAT || dtype === DataType.BFLOAT16;

function computeType(op: string, inputs: readonly TracedTensor[], precision: Precision): number | undefined {
  const floats = inputs.filter(({ dtype }) => isFloat(dtype));
  if (floats.length === 0 || precision === "fp32") return undefined;
  if (products.has(op) && !isFloat32Island()) return DataType.BFLOAT16;
  if (!floats.some((i) => i.dtype === DataType.BFLOAT16)) return undefined;
  if (isFloat32Island()) return DataType.FLOAT;
  if (op === "BiasAdd") return inputs[0]!.dtype;
  // A scalar constant takes the type of what it meets.
  const fits = ({ dtype, constant }: TracedTensor) => dtype === DataType.BFLOAT16 || constant?.length === 1;
  const keeps = transparent.has(op) && floats.every(fits);
  return keeps ? DataType.BFLOAT16 : DataType.FLOAT;
}
