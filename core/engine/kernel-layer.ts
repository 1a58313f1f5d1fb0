/** Typed access to tfjs-node-gpu's kernel layer. Importing it registers its kernels for "tensorflow", and gradients. */
import { createRequire } from "node:module";
import type { DataStorage, DataType, KernelBackend, Tensor, TensorInfo } from "@tensorflow/tfjs-core";
import { correctGradients } from "./gradients.ts";

export interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: boolean | number | string | readonly number[] | readonly string[];
}

export interface TensorMetadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

/** The interface between tfjs's kernels and TensorFlow. relata has an eager and a graph implementation. */
export interface Binding {
  createTensor(shape: number[], dtype: number, values: ArrayLike<number>): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  executeOp(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: number[],
    outputs: number,
  ): TensorMetadata[];
  getNumOfTensors(): number;
  getNumOfSavedModels(): number;
  isUsingGpuDevice(): boolean;
}

/** What the kernel backend knows of a tensor's data. */
export interface TensorData {
  refCount: number;
}

/** The part of tfjs-node-gpu's NodeJSKernelBackend that relata uses. */
export interface NodeBackend extends KernelBackend {
  readonly binding: Binding;
  readonly tensorMap: DataStorage<TensorData>;
  createOutputTensor(metadata: TensorMetadata): Tensor;
  getInputTensorIds(tensors: readonly TensorInfo[]): number[];
  executeSingleOutput(op: string, attributes: readonly OpAttribute[], inputs: readonly TensorInfo[]): Tensor;
  executeMultipleOutputs(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly TensorInfo[],
    outputs: number,
  ): Tensor[];
  applyActivation(input: Tensor, activation: string, prelu?: Tensor, leakyreluAlpha?: number): Tensor;
  getDTypeInteger(dtype: DataType): number;
}

const layer = createRequire(import.meta.url)("./kernel-layer.cjs") as {
  NodeJSKernelBackend: new (binding: Binding, packageName: string) => NodeBackend;
};

correctGradients();

export const NodeJSKernelBackend = layer.NodeJSKernelBackend;
