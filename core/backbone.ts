/**
 * The BACKBONE service: pixels to tokens. A replacement implements this interface.
 *
 * A ViT has the same patches and width all through. A backbone that merges patches on its way (ConvNeXt, Swin) embeds
 * N0 finer ones of width D0, and gives N of width D.
 */
import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import type { Parameters, ParameterSpec } from "./parameters.ts";

/** Where the tokens of one view lie: `rows * columns` patch tokens, `stride` pixels apart. */
export interface TokenGrid {
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
}

/** One pass as the blocks see it. */
export interface BackboneSegment {
  /** [B, T, D0] tokens before block 0. */
  readonly tokens: Tensor3D;
  /** Of the patches that the view is cut into; a plugin's own pass may have dropped tokens of some. */
  readonly grid: TokenGrid;
  /**
   * [2 * depth, B] multipliers of the residual branches, two a block, 0 or 1 / keep; absent where nothing is dropped. A
   * block with one branch takes the first of its two.
   */
  readonly dropPath?: Tensor2D;
  /** Only the class token of the last block is read: the rest of that block is not computed. */
  readonly clsOnly?: boolean;
  /** Indices of blocks whose output tokens are wanted as well. */
  readonly keepBlocks?: readonly number[];
}

/** What the blocks make of one pass. */
export interface BackboneSegmentOutput {
  /** [B, T, D] after the last block, before the final norm; [B, 1, D] when `clsOnly`. */
  readonly tokens: Tensor3D;
  /** By block index, [B, T, D] or as the block leaves them. */
  readonly blocks: ReadonlyMap<number, Tensor3D>;
}

/** What BACKBONE is bound to. It owns no weights: every method reads them through the `Parameters` of a network. */
export interface Backbone {
  /** D, of the tokens that it gives. */
  readonly embedDim: number;
  /** D0, of the patch tokens before the blocks. */
  readonly stemDim: number;
  readonly depth: number;
  readonly numHeads: number;
  /** Tokens in front of the patch tokens: class token first, then registers. */
  readonly hasClsToken: boolean;
  readonly registerTokens: number;
  /** [depth] stochastic-depth rates, 0 … dropPathRate. */
  readonly dropPathRates: readonly number[];
  parameters(): readonly ParameterSpec[];
  /**
   * The layer of a parameter, for learning rates that differ by depth: 0 for what comes before block 0, i + 1 for block
   * i, depth + 1 for what comes after the last one. Without it LAYERS_UNKNOWN is thrown where layers are asked for.
   */
  layerOf?(parameter: string): number;
  /** The N tokens that a square view of `size` pixels ends in. Throws Error where it does not fit. */
  grid(size: number): TokenGrid;
  /** The N0 patches that it is cut into: a multiple of `grid` in rows and columns. */
  stemGrid(size: number): TokenGrid;
  /** [B, S, S, C] normalised pixels to [B, N0, D0] patch tokens, before position embedding. */
  patchify(parameters: Parameters, images: Tensor4D): Tensor3D;
  /** [B, N0, D0] patch tokens to [B, T, D0] tokens before block 0: class and register tokens, positions. */
  prepare(parameters: Parameters, patchTokens: Tensor3D, stemGrid: TokenGrid): Tensor3D;
  /** Runs every segment through all blocks; a layer may see the rows of all segments at once. */
  blocks(parameters: Parameters, segments: readonly BackboneSegment[]): readonly BackboneSegmentOutput[];
  /**
   * Where there is a class token: how much it attends to each patch in the last block, [B, heads, N] of its
   * softmax over all tokens. For evaluation; it has no gradient of its own.
   *
   * @param tokens [B, T, D] before the last block
   */
  clsAttention?(parameters: Parameters, tokens: Tensor3D): Tensor3D;
  /** The final norm, [rows, D] or [B, T, D]. */
  norm<T extends Tensor>(parameters: Parameters, tokens: T): T;
}
