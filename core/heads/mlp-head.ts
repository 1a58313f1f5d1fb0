/**
 * The multi-layer perceptron of contrastive and regressing methods: projectors and predictors of SimCLR
 * (arXiv 2002.05709, section 2.1), BYOL (arXiv 2006.07733, section 3.3) and their relatives.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { HeadModule, HeadState } from "../contexts.ts";
import { linear } from "../math/linear.ts";
import type { Parameters, ParameterSpec } from "../parameters.ts";
import { BatchNormLayer } from "./batch-norm.ts";

/** What `MlpHead` is made of. */
export type MlpHeadSpec = {
  readonly inDim: number;
  readonly hiddenDim: number;
  readonly outDim: number;
  /** Linear layers, at least 1, with a ReLU between two. */
  readonly layers: number;
  /** Which linear layers BatchNorm follows: those before a ReLU, all with the last, or none. */
  readonly batchNorm: "hidden" | "all" | "none";
  /** Networks that follow the student have none. */
  readonly studentOnly: boolean;
};

/**
 * Linear, BatchNorm, ReLU, …, Linear: [R, inDim] -> [R, outDim]. A linear layer has no bias where BatchNorm follows,
 * which would take it away. Linear layers start as PyTorch's do: weights and biases uniform in -+ 1 / sqrt(inputs).
 */
export class MlpHead implements HeadModule {
  readonly spec: MlpHeadSpec;
  private readonly layers: readonly MlpLayer[];

  constructor({
    inDim,
    hiddenDim,
    outDim,
    layers = 2,
    batchNorm = "hidden",
    studentOnly = false,
  }: MlpHeadOptions) {
    this.spec = { inDim, hiddenDim, outDim, layers, batchNorm, studentOnly };
    const numbers = batchNorm === "none" ? 2 : 3;
    this.layers = Array.from({ length: layers }, (_, i): MlpLayer => {
      const last = i === layers - 1;
      const output = last ? outDim : hiddenDim;
      const normed = batchNorm === "all" || (batchNorm === "hidden" && !last);
      return {
        name: `${numbers * i}`,
        shape: [output, i === 0 ? inDim : hiddenDim],
        norm: normed ? new BatchNormLayer(`${numbers * i + 1}`, output, studentOnly) : undefined,
      };
    });
  }

  /** `0.weight`, `1.weight`, `1.bias`, `3.weight`, …: numbered as in PyTorch's Sequential, where a ReLU has one too. */
  parameters(): readonly ParameterSpec[] {
    const { studentOnly } = this.spec;
    return this.layers.flatMap(({ name, shape, norm }) => {
      const init = { kind: "uniform", bound: 1 / Math.sqrt(shape[1]) } as const;
      const bias = { name: `${name}.bias`, shape: [shape[0]], init, studentOnly };
      return [{ name: `${name}.weight`, shape, init, studentOnly }, ...(norm ? norm.parameters() : [bias])];
    });
  }

  buffers(): readonly ParameterSpec[] {
    return this.layers.flatMap(({ norm }) => norm?.buffers() ?? []);
  }

  forward(parameters: Parameters, rows: tf.Tensor2D, state: HeadState): tf.Tensor2D {
    return this.layers.reduce((x, { name, norm }, i) => {
      const input = i > 0 ? tf.relu(x) : x;
      const weight = parameters(`${name}.weight`);
      return norm
        ? norm.forward(parameters, linear(input, weight), state)
        : linear(input, weight, parameters(`${name}.bias`));
    }, rows);
  }
}

/** Of `MlpHead`; what is left out has a default. */
export type MlpHeadOptions = Pick<MlpHeadSpec, "inDim" | "hiddenDim" | "outDim"> & Partial<MlpHeadSpec>;

interface MlpLayer {
  readonly name: string;
  /** Outputs and inputs. */
  readonly shape: readonly [number, number];
  readonly norm: BatchNormLayer | undefined;
}
