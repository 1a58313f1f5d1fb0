/** The BACKBONE service: pixels to tokens. A replacement (ConvNeXt, Swin …) implements this interface. */
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
  /** [B, T, D] tokens before block 0. */
  readonly tokens: Tensor3D;
  /** [2 * depth, B] multipliers of the residual branches, 0 or 1 / keep; absent where nothing is dropped. */
  readonly dropPath?: Tensor2D;
  /** Only the class token of the last block is read: the rest of that block is not computed. */
  readonly clsOnly?: boolean;
  /** Indices of blocks whose output tokens are wanted as well. */
  readonly keepBlocks?: readonly number[];
}

export interface BackboneSegmentOutput {
  /** [B, T, D] after the last block, before the final norm; [B, 1, D] when `clsOnly`. */
  readonly tokens: Tensor3D;
  /** [B, T, D] by block index. */
  readonly blocks: ReadonlyMap<number, Tensor3D>;
}

export interface Backbone {
  readonly embedDim: number;
  readonly depth: number;
  readonly numHeads: number;
  /** Tokens in front of the patch tokens: class token first, then registers. */
  readonly hasClsToken: boolean;
  readonly registerTokens: number;
  /** [depth] stochastic-depth rates, 0 … dropPathRate. */
  readonly dropPathRates: readonly number[];
  parameters(): readonly ParameterSpec[];
  /** The token grid of a square view of `size` pixels. Throws BACKBONE_VIEW_SIZE where it does not fit. */
  grid(size: number): TokenGrid;
  /** [B, S, S, C] normalised pixels to [B, N, D] patch tokens, before position embedding. */
  patchify(parameters: Parameters, images: Tensor4D): Tensor3D;
  /** [B, N, D] patch tokens to [B, T, D] tokens before block 0: class and register tokens, positions. */
  prepare(parameters: Parameters, patchTokens: Tensor3D, grid: TokenGrid): Tensor3D;
  /** Runs every segment through all blocks; linear layers see the rows of all segments at once. */
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
