/**
 * The vision transformer (arXiv 2010.11929) as DINO, iBOT and SERE use it: pre-norm blocks, a class token,
 * learned positions that are interpolated for other view sizes; register tokens (arXiv 2309.16588), layer scale
 * (arXiv 2103.17239) and stochastic depth (arXiv 1603.09382) as options.
 *
 * It owns no weights. It declares them by name (`parameters()`, the names of the official checkpoints), and
 * every method reads them through the `Parameters` of the network at hand, so student and teacher share it.
 *
 * In shape comments: B samples, S pixels, N patch tokens, R registers, T = 1 + R + N tokens, D embedDim.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, BackboneSegment, BackboneSegmentOutput, TokenGrid } from "../backbone.ts";
import { attention, firstTokenAttention } from "../math/attention.ts";
import { gelu } from "../math/gelu.ts";
import { layerNorm } from "../math/layer-norm.ts";
import { linear } from "../math/linear.ts";
import { interpolatePositions } from "../math/position.ts";
import { repeatBatch } from "../math/repeat-batch.ts";
import type { Initializer, Parameters, ParameterSpec } from "../parameters.ts";

export type { Initializer, Parameters, ParameterSpec };

export interface VitConfig {
  /** Side of the native view in pixels: `pos_embed` has (imageSize / patchSize)^2 patch positions. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  readonly embedDim: number;
  readonly depth: number;
  readonly numHeads: number;
  /** Hidden width of the MLP over embedDim. */
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  /** Stochastic-depth rate of the last block; it rises linearly from 0. */
  readonly dropPathRate: number;
  /** Initial value of the layer scale; without it there is none. */
  readonly layerScale?: number;
  readonly registerTokens: number;
}

export const vitArchitectures = {
  "vit-tiny": { embedDim: 192, depth: 12, numHeads: 3, mlpRatio: 4 },
  "vit-small": { embedDim: 384, depth: 12, numHeads: 6, mlpRatio: 4 },
  "vit-base": { embedDim: 768, depth: 12, numHeads: 12, mlpRatio: 4 },
  "vit-large": { embedDim: 1024, depth: 24, numHeads: 16, mlpRatio: 4 },
} as const;

export type VitArchitecture = keyof typeof vitArchitectures;

/** [depth] stochastic-depth rates: 0 … rate in equal steps. */
export function dropPathRates(depth: number, rate: number): number[] {
  return Array.from({ length: depth }, (_, i) => (depth === 1 ? 0 : (rate * i) / (depth - 1)));
}

const zeros: Initializer = { kind: "zeros" };
const ones: Initializer = { kind: "ones" };
const narrowNormal: Initializer = { kind: "truncatedNormal", std: 0.02 };

export class VisionTransformer implements Backbone {
  readonly config: VitConfig;
  readonly embedDim: number;
  readonly depth: number;
  readonly numHeads: number;
  readonly hasClsToken = true;
  readonly registerTokens: number;
  readonly dropPathRates: readonly number[];
  private readonly nativeGrid: TokenGrid;

  /** Throws Error if the heads do not divide embedDim, or patchSize does not divide imageSize. */
  constructor(config: VitConfig) {
    check(
      config.embedDim % config.numHeads === 0,
      `${config.numHeads} heads do not divide ${config.embedDim}`,
    );
    this.config = config;
    this.embedDim = config.embedDim;
    this.depth = config.depth;
    this.numHeads = config.numHeads;
    this.registerTokens = config.registerTokens;
    this.dropPathRates = dropPathRates(config.depth, config.dropPathRate);
    this.nativeGrid = this.grid(config.imageSize);
  }

  parameters(): readonly ParameterSpec[] {
    const { channels, patchSize, embedDim: D, mlpRatio, qkvBias, layerScale } = this.config;
    const hidden = Math.round(D * mlpRatio);
    const fanIn = channels * patchSize ** 2;
    const uniform: Initializer = { kind: "uniform", bound: 1 / Math.sqrt(fanIn) }; // PyTorch's default for Conv2d
    const norm = (name: string): ParameterSpec[] => [
      { name: `${name}.weight`, shape: [D], init: ones },
      { name: `${name}.bias`, shape: [D], init: zeros },
    ];
    const dense = (name: string, output: number, input: number, bias = true): ParameterSpec[] => [
      { name: `${name}.weight`, shape: [output, input], init: narrowNormal },
      ...(bias ? [{ name: `${name}.bias`, shape: [output], init: zeros }] : []),
    ];
    const scale = (name: string): ParameterSpec[] =>
      layerScale === undefined
        ? []
        : [{ name: `${name}.gamma`, shape: [D], init: { kind: "constant", value: layerScale } }];

    const positions = 1 + this.nativeGrid.rows * this.nativeGrid.columns;
    return [
      { name: "cls_token", shape: [1, 1, D], init: narrowNormal },
      { name: "pos_embed", shape: [1, positions, D], init: narrowNormal },
      ...(this.registerTokens > 0
        ? [{ name: "register_tokens", shape: [1, this.registerTokens, D], init: narrowNormal }]
        : []),
      { name: "patch_embed.proj.weight", shape: [D, channels, patchSize, patchSize], init: uniform },
      { name: "patch_embed.proj.bias", shape: [D], init: uniform },
      ...this.dropPathRates.flatMap((_, i) => [
        ...norm(`blocks.${i}.norm1`),
        ...dense(`blocks.${i}.attn.qkv`, 3 * D, D, qkvBias),
        ...dense(`blocks.${i}.attn.proj`, D, D),
        ...scale(`blocks.${i}.ls1`),
        ...norm(`blocks.${i}.norm2`),
        ...dense(`blocks.${i}.mlp.fc1`, hidden, D),
        ...dense(`blocks.${i}.mlp.fc2`, D, hidden),
        ...scale(`blocks.${i}.ls2`),
      ]),
      ...norm("norm"),
    ];
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

  /**
   * Cuts images into patches and projects each: the convolution with stride patchSize as one matrix product.
   * Images may be oblong; both sides must be multiples of patchSize.
   *
   * @param images [B, height, width, channels], normalised
   * @returns [B, N, D], row-major, before positions
   */
  patchify(p: Parameters, images: tf.Tensor4D): tf.Tensor3D {
    const { channels, patchSize: P } = this.config;
    const [B, height, width, depth] = images.shape;
    check(depth === channels, `images have ${depth} channels, the model ${channels}`);
    const rows = this.grid(height).rows;
    const columns = this.grid(width).columns;
    const cut = tf.transpose(tf.reshape(images, [B, rows, P, columns, P * channels]), [0, 1, 3, 2, 4]);
    const pixels = tf.reshape(cut, [B * rows * columns, P * P * channels]); // (y, x, channel) in each patch
    const kernel = tf.transpose(p("patch_embed.proj.weight"), [0, 2, 3, 1]); // [D, channels, P, P] -> [D, P, P, channels]
    const weight = tf.reshape(kernel, [this.embedDim, P * P * channels]);
    const tokens = linear(pixels as tf.Tensor2D, weight, p("patch_embed.proj.bias"));
    return tf.reshape(tokens, [B, rows * columns, this.embedDim]);
  }

  /**
   * Puts the class token and the registers in front and adds positions, interpolated to the grid. Registers
   * have no position.
   *
   * @param patchTokens [B, N, D]
   * @returns [B, 1 + R + N, D]: class token, registers, patches
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

  /**
   * All blocks, for several batches of token sequences at once: every linear layer runs once, on the rows of
   * all segments one after the other; only attention sees where a sequence ends. In the last block of a
   * `clsOnly` segment, the class token alone is computed.
   */
  blocks(p: Parameters, segments: readonly BackboneSegment[]): readonly BackboneSegmentOutput[] {
    segments.forEach((segment) => this.checkSegment(segment));
    const last = this.depth - 1;
    const inner: Layout = segments.map(({ tokens }) => ({ batch: tokens.shape[0], tokens: tokens.shape[1] }));
    const final: Layout = segments.map(({ clsOnly, keepBlocks = [] }, i) => ({
      batch: inner[i]!.batch,
      tokens: clsOnly && !keepBlocks.includes(last) ? 1 : inner[i]!.tokens,
    }));
    const innerKeep = keepColumns(segments, inner, this.depth);
    const finalKeep = keepColumns(segments, final, this.depth);
    const kept = segments.map(() => new Map<number, tf.Tensor3D>());

    let rows = concatRows(segments.map(({ tokens }) => tf.reshape(tokens, [-1, this.embedDim])));
    this.dropPathRates.forEach((_, i) => {
      const output = i === last ? final : inner;
      rows = this.block(p, i, rows, inner, output, i === last ? finalKeep : innerKeep);
      segments.forEach(({ keepBlocks = [] }, s) => {
        if (keepBlocks.includes(i)) kept[s]!.set(i, this.unpack(rows, output)[s]!);
      });
    });
    const outputs = this.unpack(rows, final);
    return segments.map(({ clsOnly }, s) => {
      const tokens = outputs[s]!;
      const [B, T, D] = tokens.shape;
      return { tokens: clsOnly && T > 1 ? tf.slice(tokens, [0, 0, 0], [B, 1, D]) : tokens, blocks: kept[s]! };
    });
  }

  /**
   * One block on packed rows:  x += keep * scale1 * attention(norm1(x));  x += keep * scale2 * mlp(norm2(x)).
   *
   * @param rows [sum of batch * tokens of `input`, D]
   * @param keep the keep multipliers of residual branch 2 i (attention) and 2 i + 1 (MLP), on the rows of `output`
   * @returns [sum of batch * tokens of `output`, D]
   */
  private block(
    p: Parameters,
    i: number,
    rows: tf.Tensor2D,
    input: Layout,
    output: Layout,
    keep: KeepColumns,
  ) {
    const param = (name: string) => p(`blocks.${i}.${name}`);
    const residual = (x: tf.Tensor2D, branch: tf.Tensor2D, scale: string, multiplier?: tf.Tensor) => {
      const scaled = this.config.layerScale === undefined ? branch : tf.mul(branch, param(scale));
      return tf.add(x, multiplier ? tf.mul(scaled, multiplier) : scaled) as tf.Tensor2D;
    };

    let y = this.qkv(p, i, rows);
    const segments = input.map(({ batch, tokens }, s) => ({
      batch,
      tokens,
      queries: output[s]!.tokens < tokens ? ("cls" as const) : ("all" as const),
    }));
    y = attention(y, this.numHeads, segments);
    y = linear(y, param("attn.proj.weight"), param("attn.proj.bias"));
    const x = residual(firstTokens(rows, input, output), y, "ls1.gamma", keep(2 * i));

    y = layerNorm(x, param("norm2.weight"), param("norm2.bias"));
    y = gelu(linear(y, param("mlp.fc1.weight"), param("mlp.fc1.bias"))); // [rows, mlpRatio D]
    y = linear(y, param("mlp.fc2.weight"), param("mlp.fc2.bias"));
    return residual(x, y, "ls2.gamma", keep(2 * i + 1));
  }

  /** [rows, D] to the queries, keys and values of block i, [rows, 3 D]. */
  private qkv(p: Parameters, i: number, rows: tf.Tensor2D): tf.Tensor2D {
    const param = (name: string) => p(`blocks.${i}.${name}`);
    const y = layerNorm(rows, param("norm1.weight"), param("norm1.bias"));
    return linear(y, param("attn.qkv.weight"), this.config.qkvBias ? param("attn.qkv.bias") : undefined);
  }

  /**
   * The class token's attention to the patches in the last block; the rest of it goes to itself and the registers.
   *
   * @param tokens [B, 1 + R + N, D] before the last block
   * @returns [B, heads, N]
   */
  clsAttention(p: Parameters, tokens: tf.Tensor3D): tf.Tensor3D {
    const [B, T, D] = tokens.shape;
    const qkv = this.qkv(p, this.depth - 1, tf.reshape(tokens, [B * T, D]));
    const weights = firstTokenAttention(qkv, this.numHeads, { batch: B, tokens: T });
    const front = 1 + this.registerTokens;
    return tf.slice(weights, [0, 0, front], [B, this.numHeads, T - front]);
  }

  /** The final norm, of any tokens [..., D]. */
  norm<T extends tf.Tensor>(p: Parameters, tokens: T): T {
    const rows: tf.Tensor2D = tf.reshape(tokens, [-1, this.embedDim]);
    return tf.reshape(layerNorm(rows, p("norm.weight"), p("norm.bias")), tokens.shape) as T;
  }

  private checkSegment({ tokens, dropPath, keepBlocks = [] }: BackboneSegment): void {
    const [B, , D] = tokens.shape;
    check(D === this.embedDim, `tokens [${tokens.shape}] have not ${this.embedDim} features`);
    check(
      dropPath === undefined || dropPath.shape.join() === [2 * this.depth, B].join(),
      `dropPath must be [${2 * this.depth}, ${B}], not [${dropPath?.shape}]`,
    );
    for (const i of keepBlocks) check(i in this.dropPathRates, `there is no block ${i} of ${this.depth}`);
  }

  /** Packed rows to one [B, T, D] per segment. */
  private unpack(rows: tf.Tensor2D, layout: Layout): tf.Tensor3D[] {
    return splitRows(rows, layout).map((part, s) =>
      tf.reshape(part, [layout[s]!.batch, layout[s]!.tokens, this.embedDim]),
    );
  }
}

/** Which rows belong to which segment. */
type Layout = readonly { readonly batch: number; readonly tokens: number }[];

/** The keep multipliers [rows, 1] of a residual branch; nothing where no segment drops. */
type KeepColumns = (branch: number) => tf.Tensor | undefined;

/** Spreads the [2 depth, B] multipliers of each segment over the rows of its tokens. */
function keepColumns(segments: readonly BackboneSegment[], layout: Layout, depth: number): KeepColumns {
  if (segments.every(({ dropPath }) => dropPath === undefined)) return () => undefined;
  const perRow = segments.map(({ dropPath }, s) => {
    const { batch, tokens } = layout[s]!;
    const multipliers = dropPath ?? tf.ones([2 * depth, batch]);
    const repeated = tf.tile(tf.expandDims(multipliers, 2), [1, 1, tokens]);
    return tf.reshape(repeated, [2 * depth, batch * tokens]);
  });
  const all = perRow.length === 1 ? perRow[0]! : tf.concat(perRow, 1); // [2 depth, rows]
  return (branch) => tf.reshape(tf.slice(all, [branch, 0], [1, -1]), [-1, 1]);
}

/** The rows of the tokens that are still wanted: all of a segment, or the first of each sequence. */
function firstTokens(rows: tf.Tensor2D, input: Layout, output: Layout): tf.Tensor2D {
  if (input.every(({ tokens }, s) => tokens === output[s]!.tokens)) return rows;
  const D = rows.shape[1];
  const parts = splitRows(rows, input).map((part, s) => {
    const { batch, tokens } = input[s]!;
    const wanted = output[s]!.tokens;
    if (wanted === tokens) return part;
    const first = tf.slice(tf.reshape(part, [batch, tokens, D]), [0, 0, 0], [batch, wanted, D]);
    return tf.reshape(first, [batch * wanted, D]) as tf.Tensor2D;
  });
  return concatRows(parts);
}

function splitRows(rows: tf.Tensor2D, layout: Layout): tf.Tensor2D[] {
  if (layout.length === 1) return [rows];
  return tf.split(
    rows,
    layout.map(({ batch, tokens }) => batch * tokens),
    0,
  );
}

function concatRows(parts: tf.Tensor2D[]): tf.Tensor2D {
  return parts.length === 1 ? parts[0]! : tf.concat(parts, 0);
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(`VisionTransformer: ${message}`);
}
