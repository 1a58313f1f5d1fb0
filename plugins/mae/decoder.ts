/**
 * The decoder of MAE (arXiv 2111.06377, section 3): encoded patches and mask tokens to the pixels of dropped patches.
 *
 * A sequence is the encoder's tokens with the dropped patches after them, not in their places: blocks know places by
 * positions alone, and the tokens that predict are one slice. The decoder is the student's alone.
 */
import {
  layerNorm,
  linear,
  linearParameters,
  normParameters,
  repeatBatch,
  tf,
  TransformerBlocks,
  type HeadModule,
  type Initializer,
  type Parameters,
  type ParameterSpec,
  type Tensor3D,
} from "../../core/plugin.ts";

/** Of the student alone, and matrices as in the paper: uniform, of variance 2 / (inputs + outputs). */
function ofDecoder(spec: ParameterSpec): ParameterSpec {
  const { shape, init } = spec;
  const [outputs, inputs] = shape as [number, number];
  const xavier: Initializer = { kind: "uniform", bound: Math.sqrt(6 / (inputs + outputs)) };
  return { ...spec, init: shape.length === 2 ? xavier : init, studentOnly: true };
}

export type DecoderEmbedSpec = {
  /** D of the encoder. */
  readonly inDim: number;
  readonly decoderDim: number;
  /** Patches that the encoder does not see. */
  readonly dropped: number;
};

/** Projects the encoder's tokens and puts a mask token after them for each dropped patch. */
export class DecoderEmbed implements HeadModule<Tensor3D, Tensor3D> {
  readonly spec: DecoderEmbedSpec;

  constructor(spec: DecoderEmbedSpec) {
    this.spec = spec;
  }

  parameters(): readonly ParameterSpec[] {
    const { inDim, decoderDim } = this.spec;
    const maskToken: Initializer = { kind: "truncatedNormal", std: 0.02 };
    return [
      ...linearParameters("embed", [decoderDim, inDim]),
      { name: "mask_token", shape: [1, 1, decoderDim], init: maskToken },
    ].map(ofDecoder);
  }

  /** [R, T, inDim] -> [R, T + dropped, decoderDim], without positions */
  forward(p: Parameters, tokens: Tensor3D): Tensor3D {
    const { inDim, decoderDim, dropped } = this.spec;
    const [R, T] = tokens.shape;
    const rows: tf.Tensor2D = tf.reshape(tokens, [R * T, inDim]);
    const embedded: Tensor3D = tf.reshape(linear(rows, p("embed.weight"), p("embed.bias")), [
      R,
      T,
      decoderDim,
    ]);
    const masks: Tensor3D = tf.reshape(repeatBatch(p("mask_token"), R * dropped), [R, dropped, decoderDim]);
    return tf.concat([embedded, masks], 1);
  }
}

export type PixelDecoderSpec = {
  readonly decoderDim: number;
  readonly depth: number;
  readonly numHeads: number;
  /** The last tokens of each sequence, for which pixels are predicted. */
  readonly dropped: number;
  /** Values of a patch: its pixels times channels. */
  readonly outDim: number;
};

/** Transformer blocks over whole sequences, then norm and linear layer of the dropped patches. */
export class PixelDecoder implements HeadModule<Tensor3D, Tensor3D> {
  readonly spec: PixelDecoderSpec;
  private readonly blocks: TransformerBlocks;

  /** Throws Error if the heads do not divide decoderDim. */
  constructor(spec: PixelDecoderSpec) {
    const { decoderDim: embedDim, depth, numHeads } = spec;
    this.spec = spec;
    this.blocks = new TransformerBlocks({
      embedDim,
      depth,
      numHeads,
      mlpRatio: 4,
      qkvBias: true,
      dropPathRate: 0,
    });
  }

  parameters(): readonly ParameterSpec[] {
    const { decoderDim, outDim } = this.spec;
    return [
      ...this.blocks.parameters(),
      ...normParameters("norm", decoderDim),
      ...linearParameters("pred", [outDim, decoderDim]),
    ].map(ofDecoder);
  }

  /** [R, T, decoderDim] with positions -> [R, dropped, outDim] */
  forward(p: Parameters, sequence: Tensor3D): Tensor3D {
    const { decoderDim, dropped, outDim } = this.spec;
    const [R, T] = sequence.shape;
    const [decoded] = this.blocks.run(p, [{ tokens: sequence }]);
    const last = tf.slice(decoded!.tokens, [0, T - dropped, 0], [-1, -1, -1]);
    const rows: tf.Tensor2D = tf.reshape(last, [R * dropped, decoderDim]);
    const normed = layerNorm(rows, p("norm.weight"), p("norm.bias"));
    return tf.reshape(linear(normed, p("pred.weight"), p("pred.bias")), [R, dropped, outDim]);
  }
}
