/** BatchNorm as a part of heads: weights, running statistics and the forward pass of one layer. */
import * as tf from "@tensorflow/tfjs-core";
import type { HeadState } from "../contexts.ts";
import { batchNorm } from "../math/batch-norm.ts";
import type { Parameters, ParameterSpec } from "../parameters.ts";

/** PyTorch's: running = (1 - 0.1) running + 0.1 batch. */
const MOMENTUM = 0.1;

/**
 * y = gamma (x - mean) / sqrt(variance + 1e-5) + beta of rows [R, dim], with the statistics of the batch at hand over
 * all processes, in every network. Running statistics are kept, the variance unbiased, but no step reads them.
 */
export class BatchNormLayer {
  private readonly name: string;
  private readonly dim: number;
  private readonly studentOnly: boolean;

  /** @param name in front of its weights and buffers: `<name>.weight`, `.bias`, `.running_mean`, `.running_var` */
  constructor(name: string, dim: number, studentOnly: boolean) {
    this.name = name;
    this.dim = dim;
    this.studentOnly = studentOnly;
  }

  parameters(): ParameterSpec[] {
    return [this.spec("weight", { kind: "ones" }), this.spec("bias", { kind: "zeros" })];
  }

  buffers(): ParameterSpec[] {
    return [this.spec("running_mean", { kind: "zeros" }), this.spec("running_var", { kind: "ones" })];
  }

  forward(parameters: Parameters, rows: tf.Tensor2D, { batch, update }: HeadState): tf.Tensor2D {
    const { name } = this;
    const { y, mean, variance } = batchNorm(rows, parameters(`${name}.weight`), parameters(`${name}.bias`), {
      reduce: (localMean) => batch.mean(localMean),
    });
    const blend = (running: tf.Tensor, fresh: tf.Tensor) =>
      tf.add(tf.mul(running, 1 - MOMENTUM), tf.mul(fresh, MOMENTUM));
    update(`${name}.running_mean`, (running) => blend(running, mean));
    update(`${name}.running_var`, (running) => {
      const count = batch.sum(tf.scalar(rows.shape[0]));
      // One row alone varies by nothing.
      return blend(running, tf.mul(variance, tf.div(count, tf.maximum(tf.sub(count, 1), 1))));
    });
    return y;
  }

  private spec(weight: string, init: ParameterSpec["init"]): ParameterSpec {
    return { name: `${this.name}.${weight}`, shape: [this.dim], init, studentOnly: this.studentOnly };
  }
}
