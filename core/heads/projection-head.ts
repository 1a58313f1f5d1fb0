/**
 * The projection head of DINO (arXiv 2104.14294, appendix C) in two modules, because methods share them
 * separately: an MLP to a normalised bottleneck, and a weight-normalised layer of prototypes on top.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { HeadModule, HeadState } from "../contexts.ts";
import { gelu } from "../math/gelu.ts";
import { linear } from "../math/linear.ts";
import { l2Normalize } from "../math/normalize.ts";
import type { Parameters, ParameterSpec } from "../parameters.ts";
import { linearParameters } from "../vit/transformer-blocks.ts";

/** Sizes of the MLP, compared where plugins share it. */
export type ProjectionMlpSpec = {
  readonly inDim: number;
  readonly hiddenDim: number;
  readonly bottleneckDim: number;
  /** Linear layers, at least 1, with a GELU between two. */
  readonly layers: number;
};

/** Linear, GELU, …, Linear, then each row divided by its length: [R, inDim] -> [R, bottleneckDim]. */
export class ProjectionMlp implements HeadModule {
  readonly spec: ProjectionMlpSpec;

  constructor({ inDim, hiddenDim = 2048, bottleneckDim = 256, layers = 3 }: ProjectionMlpOptions) {
    this.spec = { inDim, hiddenDim, bottleneckDim, layers };
  }

  /** `mlp.0`, `mlp.2`, …: the numbers between are the GELUs, as in the official checkpoints. */
  parameters(): readonly ParameterSpec[] {
    const { inDim, hiddenDim, bottleneckDim, layers } = this.spec;
    return Array.from({ length: layers }, (_, i) => {
      const output = i === layers - 1 ? bottleneckDim : hiddenDim;
      const input = i === 0 ? inDim : hiddenDim;
      return linearParameters(`mlp.${2 * i}`, [output, input]);
    }).flat();
  }

  forward(parameters: Parameters, rows: tf.Tensor2D): tf.Tensor2D {
    let x = rows;
    for (let i = 0; i < this.spec.layers; i++) {
      if (i > 0) x = gelu(x);
      x = linear(x, parameters(`mlp.${2 * i}.weight`), parameters(`mlp.${2 * i}.bias`));
    }
    return l2Normalize(x);
  }
}

/** Left out: hiddenDim 2048, bottleneckDim 256, 3 layers. */
export type ProjectionMlpOptions = Partial<ProjectionMlpSpec> & { readonly inDim: number };

/** Sizes of the layer, compared where plugins share it. */
export type PrototypeLayerSpec = {
  readonly inDim: number;
  /** K, the number of prototypes. */
  readonly outDim: number;
  /** Keeps the prototypes at length 1: the gains g start at 1 and are not trained. */
  readonly normLastLayer: boolean;
  readonly frozenEpochs: number;
};

/**
 * Weight-normalised linear layer without bias (arXiv 1602.07868, eq. 2), [R, inDim] -> [R, outDim]:
 *
 *     y_k = g_k (v_k / |v_k|) . x
 */
export class PrototypeLayer implements HeadModule {
  readonly spec: PrototypeLayerSpec;

  constructor({ inDim = 256, outDim, normLastLayer = true, frozenEpochs = 0 }: PrototypeLayerOptions) {
    this.spec = { inDim, outDim, normLastLayer, frozenEpochs };
  }

  get frozenEpochs(): number {
    return this.spec.frozenEpochs;
  }

  parameters(): readonly ParameterSpec[] {
    const { inDim, outDim, normLastLayer } = this.spec;
    return [
      { name: "last_layer.weight_g", shape: [outDim, 1], init: { kind: "ones" }, trainable: !normLastLayer },
      // PyTorch's default for Linear: the official initialisation does not reach this layer.
      {
        name: "last_layer.weight_v",
        shape: [outDim, inDim],
        init: { kind: "uniform", bound: 1 / Math.sqrt(inDim) },
      },
    ];
  }

  forward(parameters: Parameters, rows: tf.Tensor2D, state: Pick<HeadState, "once">): tf.Tensor2D {
    return linear(rows, this.weight(parameters, state));
  }

  weight(parameters: Parameters, { once }: Pick<HeadState, "once">): tf.Tensor2D {
    return once("weight", () =>
      tf.mul(l2Normalize(parameters("last_layer.weight_v")), parameters("last_layer.weight_g")),
    );
  }
}

/** Left out: inDim 256, normLastLayer true, no frozen epochs. */
export type PrototypeLayerOptions = Partial<PrototypeLayerSpec> & { readonly outDim: number };
