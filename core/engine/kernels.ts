/**
 * Kernels that relata registers for its TensorFlow backends: replacements of tfjs-node-gpu's that read values
 * or choose a slower op, and fast bodies for the kernels that core/math declares in accelerate.ts.
 */
import {
  BatchMatMul,
  GatherV2,
  mul,
  registerKernel,
  ResizeBilinearGrad,
  ResizeNearestNeighborGrad,
  tensor1d,
  unregisterKernel,
  _FusedMatMul,
  type KernelConfig,
  type Tensor,
  type TensorInfo,
} from "@tensorflow/tfjs-core";
import { attr } from "./binding.ts";
import { DataType } from "./c-api.ts";
import type { NodeBackend } from "./kernel-layer.ts";

type Inputs = Record<string, TensorInfo>;
type Kernel = (
  backend: NodeBackend,
  inputs: Inputs,
  attributes: Record<string, unknown>,
) => Tensor | Tensor[];

/** Not an op of TensorFlow's: the tracing binding makes an Identity with a control edge of it. */
export const AFTER = "RelataAfter";

const float = attr.type("T", DataType.FLOAT);

/** A rank-2 product is a MatMul, which oneDNN and cuBLAS fuse with what follows; others are batched. */
function product(
  backend: NodeBackend,
  a: TensorInfo,
  b: TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
): Tensor {
  const type = attr.type("T", backend.getDTypeInteger(a.dtype));
  if (a.shape.length === 2 && b.shape.length === 2) {
    const attributes = [type, attr.bool("transpose_a", transposeA), attr.bool("transpose_b", transposeB)];
    return backend.executeSingleOutput("MatMul", attributes, [a, b]);
  }
  const attributes = [type, attr.bool("adj_x", transposeA), attr.bool("adj_y", transposeB)];
  return backend.executeSingleOutput("BatchMatMulV2", attributes, [a, b]);
}

const batchMatMul: Kernel = (backend, { a, b }, { transposeA, transposeB }) =>
  product(backend, a!, b!, Boolean(transposeA), Boolean(transposeB));

const fusedMatMul: Kernel = (backend, { a, b, bias, preluActivationWeights }, attributes) => {
  const y = product(backend, a!, b!, Boolean(attributes["transposeA"]), Boolean(attributes["transposeB"]));
  return backend.applyActivation(
    bias ? addBias(backend, y, bias) : y,
    (attributes["activation"] as string | undefined) ?? "linear",
    preluActivationWeights as Tensor | undefined,
    attributes["leakyreluAlpha"] as number | undefined,
  );
};

/** MatMul and BiasAdd next to each other: TensorFlow's optimizer makes one kernel of them. */
const linear: Kernel = (backend, { x, weight, bias }) =>
  addBias(backend, product(backend, x!, weight!, false, true), bias!);

function addBias(backend: NodeBackend, y: TensorInfo, bias: TensorInfo): Tensor {
  return backend.executeSingleOutput("BiasAdd", [float, attr.string("data_format", "NHWC")], [y, bias]);
}

/** tfjs-node-gpu's own kernel reads the indices to check them. TensorFlow checks them itself. */
const gather: Kernel = (backend, { x, indices }, { axis, batchDims }) => {
  const axisTensor = backend.createOutputTensor({
    id: backend.binding.createTensor([], DataType.INT32, Int32Array.of(axis as number)),
    shape: [],
    dtype: DataType.INT32,
  });
  const attributes = [
    attr.type("Tparams", backend.getDTypeInteger(x!.dtype)),
    attr.type("Tindices", DataType.INT32),
    attr.type("Taxis", DataType.INT32),
    attr.int("batch_dims", (batchDims as number | undefined) ?? 0),
  ];
  return backend.executeSingleOutput("GatherV2", attributes, [x!, indices!, axisTensor]);
};

/** tfjs-node-gpu's own forget halfPixelCenters, which gives another gradient. */
const resizeAttributes = ({ alignCorners, halfPixelCenters }: Record<string, unknown>) => [
  float,
  attr.bool("align_corners", Boolean(alignCorners)),
  attr.bool("half_pixel_centers", Boolean(halfPixelCenters)),
];

const resizeBilinearGradient: Kernel = (backend, { dy, images }, attributes) =>
  backend.executeSingleOutput("ResizeBilinearGrad", resizeAttributes(attributes), [dy!, images!]);

const resizeNearestGradient: Kernel = (backend, { dy, images }, attributes) => {
  const [, height, width] = images!.shape as [number, number, number, number];
  const size = tensor1d([height, width], "int32");
  return backend.executeSingleOutput("ResizeNearestNeighborGrad", resizeAttributes(attributes), [dy!, size]);
};

const softmaxCrossEntropy: Kernel = (backend, { logits, labels }) =>
  backend.executeMultipleOutputs("SoftmaxCrossEntropyWithLogits", [float], [logits!, labels!], 2);

/** L2Loss is half of it, in one pass over x. */
const squaredNorm: Kernel = (backend, { x }) => mul(backend.executeSingleOutput("L2Loss", [float], [x!]), 2);

/** Of the tracing backend alone: elsewhere ops run in their order anyway. */
const after: Kernel = (backend, { x, cause }) => backend.executeSingleOutput(AFTER, [], [x!, cause!]);

const replaced: Record<string, Kernel> = {
  [BatchMatMul]: batchMatMul,
  [_FusedMatMul]: fusedMatMul,
  [GatherV2]: gather,
  [ResizeBilinearGrad]: resizeBilinearGradient,
  [ResizeNearestNeighborGrad]: resizeNearestGradient,
};

const added: Record<string, Kernel> = {
  RelataLinear: linear,
  RelataSoftmaxCrossEntropy: softmaxCrossEntropy,
  RelataSquaredNorm: squaredNorm,
};

/** Registers the kernels above for a backend that already has tfjs-node-gpu's. */
export function registerRelataKernels(backendName: string): void {
  for (const kernelName of Object.keys(replaced)) unregisterKernel(kernelName, backendName);
  register(backendName, { ...replaced, ...added });
}

/** Registers those that only a tracing backend has. */
export function registerTracingKernels(backendName: string): void {
  register(backendName, { RelataAfter: after });
}

function register(backendName: string, kernels: Record<string, Kernel>): void {
  for (const [kernelName, kernel] of Object.entries(kernels)) {
    registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, backend, attrs }) =>
        kernel(backend as NodeBackend, inputs as Inputs, (attrs ?? {}) as Record<string, unknown>),
    } satisfies KernelConfig);
  }
}
