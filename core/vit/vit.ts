/**
 * The vision transformer (arXiv 2010.11929) as DINO, iBOT and SERE use it: pre-norm blocks, a class token,
 * learned positions that are interpolated for other view sizes; register tokens (arXiv 2309.16588), layer scale
 * (arXiv 2103.17239) and stochastic depth (arXiv 1603.09382) as options.
 *
 * It owns no weights. It declares them by name (`parameters()`, the names of the official checkpoints), and
 * every method reads them through the `Parameters` of the network at hand, so student and teacher share it.
 *
 * In shape comments: B samples, S pixels, N patch tokens, R registers, T = 1 + R + N tokens, D embedDim.
 *
 * @module relata/vit
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, BackboneSegmentOutput, TokenGrid } from "../backbone.ts";
import { layerNorm } from "../math/layer-norm.ts";
import { patchProjection } from "../math/patch-projection.ts";
import { interpolatePositions } from "../math/position.ts";
import { repeatBatch } from "../math/repeat-batch.ts";
import type { Initializer, Parameters, ParameterSpec } from "../parameters.ts";
import {
  normParameters,
  TransformerBlocks,
  type TransformerConfig,
  type TransformerSegment,
} from "./transformer-blocks.ts";

export type { Initializer, Parameters, ParameterSpec };

/** Sizes of a vision transformer and of what it is given. */
export interface VitConfig extends TransformerConfig {
  /** Side of the native view in pixels: `pos_embed` has (imageSize / patchSize)^2 patch positions. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  readonly registerTokens: number;
}

/** The sizes that configs know by name. */
export const vitArchitectures = {
  "vit-tiny": { embedDim: 192, depth: 12, numHeads: 3, mlpRatio: 4 },
  "vit-small": { embedDim: 384, depth: 12, numHeads: 6, mlpRatio: 4 },
  "vit-base": { embedDim: 768, depth: 12, numHeads: 12, mlpRatio: 4 },
  "vit-large": { embedDim: 1024, depth: 24, numHeads: 16, mlpRatio: 4 },
} as const;

/** Their names. */
export type VitArchitecture = keyof typeof vitArchitectures;

const narrowNormal: Initializer = { kind: "truncatedNormal", std: 0.02 };

/** The default BACKBONE: see the head of this file for what it is made of. */
export class VisionTransformer implements Backbone {
  readonly config: VitConfig;
  readonly embedDim: number;
  readonly stemDim: number;
  readonly depth: number;
  readonly numHeads: number;
  readonly hasClsToken = true;
  readonly registerTokens: number;
  readonly dropPathRates: readonly number[];
  private readonly trunk: TransformerBlocks;
  private readonly nativeGrid: TokenGrid;

  /** Throws Error if the heads do not divide embedDim, or patchSize does not divide imageSize. */
  constructor(config: VitConfig) {
    this.config = config;
    this.embedDim = config.embedDim;
    this.stemDim = config.embedDim;
    this.depth = config.depth;
    this.numHeads = config.numHeads;
    this.registerTokens = config.registerTokens;
    this.trunk = new TransformerBlocks(config);
    this.dropPathRates = this.trunk.dropPathRates;
    this.nativeGrid = this.grid(config.imageSize);
  }

  parameters(): readonly ParameterSpec[] {
    const { channels, patchSize, embedDim: D } = this.config;
    const fanIn = channels * patchSize ** 2;
    const uniform: Initializer = { kind: "uniform", bound: 1 / Math.sqrt(fanIn) }; // PyTorch's default for Conv2d
    const positions = 1 + this.nativeGrid.rows * this.nativeGrid.columns;
    return [
      { name: "cls_token", shape: [1, 1, D], init: narrowNormal },
      { name: "pos_embed", shape: [1, positions, D], init: narrowNormal },
      ...(this.registerTokens > 0
        ? [{ name: "register_tokens", shape: [1, this.registerTokens, D], init: narrowNormal }]
        : []),
      { name: "patch_embed.proj.weight", shape: [D, channels, patchSize, patchSize], init: uniform },
      { name: "patch_embed.proj.bias", shape: [D], init: uniform },
      ...this.trunk.parameters(),
      ...normParameters("norm", D),
    ];
  }

  /** Tokens, positions and the patch embedding are layer 0 (section A.2 of BEiT, arXiv 2106.08254). */
  layerOf(parameter: string): number {
    const block = /^blocks\.(\d+)\./.exec(parameter)?.[1];
    if (block !== undefined) return Number(block) + 1;
    return parameter.startsWith("norm.") ? this.depth + 1 : 0;
  }

  /** The token grid of a square view. Throws Error if the view is not a whole number of patches. */
  grid(size: number): TokenGrid {
    const { patchSize } = this.config;
    const side = size / patchSize;
    check(
      Number.isInteger(side) && side > 0,
      `a view of ${size} pixels is no multiple of patches of ${patchSize}`,
    );
    return { rows: side, columns: side, stride: patchSize };
  }

  /** Patches are not merged. */
  stemGrid(size: number): TokenGrid {
    return this.grid(size);
  }

  /**
   * Cuts images into patches and projects each: the convolution with stride patchSize as one matrix product.
   * Images may be oblong; both sides must be multiples of patchSize.
   *
   * @param images [B, height, width, channels], normalised
   * @returns [B, N, D], row-major, before positions
   */
  patchify(p: Parameters, images: tf.Tensor4D): tf.Tensor3D {
    const { channels } = this.config;
    const depth = images.shape[3];
    check(depth === channels, `images have ${depth} channels, the model ${channels}`);
    return patchProjection(images, p("patch_embed.proj.weight"), p("patch_embed.proj.bias"));
  }

  /**
   * Puts the class token and the registers in front and adds positions, interpolated to the grid. Registers
   * have no position.
   *
   * @param patchTokens [B, N, D]
   * @returns [B, 1 + R + N, D], class token, registers, patches
   */
  prepare(p: Parameters, patchTokens: tf.Tensor3D, grid: TokenGrid): tf.Tensor3D {
    const [B, N, D] = patchTokens.shape;
    check(N === grid.rows * grid.columns, `${N} patch tokens are no ${grid.rows} x ${grid.columns} grid`);
    const native = this.nativeGrid.rows * this.nativeGrid.columns;
    const [clsPosition, patchPositions] = tf.split(p("pos_embed"), [1, native], 1) as [
      tf.Tensor3D,
      tf.Tensor3D,
    ];
    const cls = tf.add(p("cls_token"), clsPosition) as tf.Tensor3D; // [1, 1, D]
    const front = this.registerTokens > 0 ? tf.concat([cls, p("register_tokens") as tf.Tensor3D], 1) : cls;
    const positions = interpolatePositions(patchPositions, this.nativeGrid, grid); // [1, N, D]
    const patches = tf.reshape(tf.add(patchTokens, positions), [B, N, D]);
    return tf.concat([repeatBatch(front, B), patches as tf.Tensor3D], 1);
  }

  /** All blocks, for several batches of token sequences at once. */
  blocks(p: Parameters, segments: readonly TransformerSegment[]): readonly BackboneSegmentOutput[] {
    return this.trunk.run(p, segments);
  }

  /**
   * The class token's attention to the patches in the last block; the rest of it goes to itself and the registers.
   *
   * @param tokens [B, 1 + R + N, D] before the last block
   * @returns [B, heads, N]
   */
  clsAttention(p: Parameters, tokens: tf.Tensor3D): tf.Tensor3D {
    const front = 1 + this.registerTokens;
    return tf.slice(this.trunk.firstTokenAttention(p, tokens), [0, 0, front], [-1, -1, -1]);
  }

  /** The final norm, of any tokens [..., D]. */
  norm<T extends tf.Tensor>(p: Parameters, tokens: T): T {
    const rows: tf.Tensor2D = tf.reshape(tokens, [-1, this.embedDim]);
    return tf.reshape(layerNorm(rows, p("norm.weight"), p("norm.bias")), tokens.shape) as T;
  }
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(`VisionTransformer: ${message}`);
}
