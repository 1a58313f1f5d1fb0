/**
 * Pre-norm transformer blocks (arXiv 2010.11929) on packed rows: of the ViT, and of whatever else wants a transformer,
 * such as a decoder.
 *
 * They own no weights: they declare them by name, and read them through the `Parameters` at hand. In shape comments:
 * B samples, T tokens, D embedDim.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { BackboneSegment, BackboneSegmentOutput } from "../backbone.ts";
import { attention, firstTokenAttention } from "../math/attention.ts";
import { gelu } from "../math/gelu.ts";
import { layerNorm } from "../math/layer-norm.ts";
import { linear } from "../math/linear.ts";
import { recomputed } from "../math/recomputed.ts";
import { residual } from "../math/residual.ts";
import type { Initializer, Parameters, ParameterSpec } from "../parameters.ts";

/** Sizes of a stack of blocks. */
export interface TransformerConfig {
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
  /** Keep each block's input alone for the gradient, and compute the block again. */
  readonly recompute?: boolean;
}

/** [depth] stochastic-depth rates: 0 … rate in equal steps. */
export function dropPathRates(depth: number, rate: number): number[] {
  return Array.from({ length: depth }, (_, i) => (depth === 1 ? 0 : (rate * i) / (depth - 1)));
}

const zeros: Initializer = { kind: "zeros" };
const ones: Initializer = { kind: "ones" };
const narrowNormal: Initializer = { kind: "truncatedNormal", std: 0.02 };

/** Weight and bias of a layer norm of width D. */
export const normParameters = (name: string, D: number): ParameterSpec[] => [
  { name: `${name}.weight`, shape: [D], init: ones },
  { name: `${name}.bias`, shape: [D], init: zeros },
];

/** Weight and bias, unless there is none, of a linear layer or convolution; `shape` begins with the outputs. */
export const linearParameters = (
  name: string,
  shape: readonly [number, ...number[]],
  bias = true,
): ParameterSpec[] => [
  { name: `${name}.weight`, shape, init: narrowNormal },
  ...(bias ? [{ name: `${name}.bias`, shape: [shape[0]], init: zeros }] : []),
];

/** Token sequences of any kind: how they lie in a view is nothing to attention. */
export type TransformerSegment = Omit<BackboneSegment, "grid">;

/** Pre-norm transformer blocks, of any tokens: the trunk of the vision transformer, or a decoder's. */
export class TransformerBlocks {
  readonly config: TransformerConfig;
  readonly dropPathRates: readonly number[];

  /** Throws Error if the heads do not divide embedDim. */
  constructor(config: TransformerConfig) {
    const { embedDim, numHeads } = config;
    check(embedDim % numHeads === 0, `${numHeads} heads do not divide ${embedDim}`);
    this.config = config;
    this.dropPathRates = dropPathRates(config.depth, config.dropPathRate);
  }

  /** `blocks.0.norm1.weight`, …: the names of the official checkpoints. */
  parameters(): readonly ParameterSpec[] {
    const { embedDim: D, mlpRatio, qkvBias, layerScale } = this.config;
    const hidden = Math.round(D * mlpRatio);
    const scale = (name: string): ParameterSpec[] =>
      layerScale === undefined
        ? []
        : [{ name: `${name}.gamma`, shape: [D], init: { kind: "constant", value: layerScale } }];
    return this.dropPathRates.flatMap((_, i) => [
      ...normParameters(`blocks.${i}.norm1`, D),
      ...linearParameters(`blocks.${i}.attn.qkv`, [3 * D, D], qkvBias),
      ...linearParameters(`blocks.${i}.attn.proj`, [D, D]),
      ...scale(`blocks.${i}.ls1`),
      ...normParameters(`blocks.${i}.norm2`, D),
      ...linearParameters(`blocks.${i}.mlp.fc1`, [hidden, D]),
      ...linearParameters(`blocks.${i}.mlp.fc2`, [D, hidden]),
      ...scale(`blocks.${i}.ls2`),
    ]);
  }

  private namesOf(block: number): string[] {
    const prefix = `blocks.${block}.`;
    return this.parameters().flatMap(({ name }) => (name.startsWith(prefix) ? [name] : []));
  }

  /**
   * All blocks, for several batches of token sequences at once: every linear layer runs once, on the rows of
   * all segments one after the other; only attention sees where a sequence ends. In the last block of a
   * `clsOnly` segment, the class token alone is computed.
   */
  run(p: Parameters, segments: readonly TransformerSegment[]): readonly BackboneSegmentOutput[] {
    segments.forEach((segment) => this.checkSegment(segment));
    const last = this.config.depth - 1;
    const inner: Layout = segments.map(({ tokens }) => ({ batch: tokens.shape[0], tokens: tokens.shape[1] }));
    const final: Layout = segments.map(({ clsOnly, keepBlocks = [] }, i) => ({
      batch: inner[i]!.batch,
      tokens: clsOnly && !keepBlocks.includes(last) ? 1 : inner[i]!.tokens,
    }));
    const innerKeep = keepColumns(segments, inner, this.config.depth);
    const finalKeep = keepColumns(segments, final, this.config.depth);
    const kept = segments.map(() => new Map<number, tf.Tensor3D>());

    let rows = concatRows(segments.map(({ tokens }) => tf.reshape(tokens, [-1, this.config.embedDim])));
    this.dropPathRates.forEach((_, i) => {
      const [output, keep] = i === last ? [final, finalKeep] : [inner, innerKeep];
      const branches = [keep(2 * i), keep(2 * i + 1)].flatMap((column) => column ?? []);
      const block = (p: Parameters, rows: tf.Tensor2D, branches: readonly tf.Tensor[]) =>
        this.block(p, i, rows, inner, output, branches);
      if (this.config.recompute) {
        const names = this.namesOf(i);
        rows = recomputed(rows, names.map(p), branches, (rows, weights, branches) =>
          block((name) => weights[names.indexOf(name)]!, rows, branches),
        );
      } else {
        rows = block(p, rows, branches);
      }
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
   * @param keep the keep multipliers of both residual branches on the rows of `output`, [rows, 1] each; none keeps all
   * @returns [sum of batch * tokens of `output`, D]
   */
  private block(
    p: Parameters,
    i: number,
    rows: tf.Tensor2D,
    input: Layout,
    output: Layout,
    keep: readonly tf.Tensor[],
  ) {
    const param = (name: string) => p(`blocks.${i}.${name}`);
    const scaled = (branch: tf.Tensor2D, scale: string): tf.Tensor2D =>
      this.config.layerScale === undefined ? branch : tf.mul(branch, param(scale));

    let y = this.qkv(p, i, rows);
    const segments = input.map(({ batch, tokens }, s) => ({
      batch,
      tokens,
      queries: output[s]!.tokens < tokens ? ("cls" as const) : ("all" as const),
    }));
    y = attention(y, this.config.numHeads, segments);
    y = linear(y, param("attn.proj.weight"), param("attn.proj.bias"));
    const x = residual(firstTokens(rows, input, output), scaled(y, "ls1.gamma"), keep[0]);

    y = layerNorm(x, param("norm2.weight"), param("norm2.bias"));
    y = gelu(linear(y, param("mlp.fc1.weight"), param("mlp.fc1.bias"))); // [rows, mlpRatio D]
    y = linear(y, param("mlp.fc2.weight"), param("mlp.fc2.bias"));
    return residual(x, scaled(y, "ls2.gamma"), keep[1]);
  }

  /** [rows, D] to the queries, keys and values of block i, [rows, 3 D]. */
  private qkv(p: Parameters, i: number, rows: tf.Tensor2D): tf.Tensor2D {
    const param = (name: string) => p(`blocks.${i}.${name}`);
    const y = layerNorm(rows, param("norm1.weight"), param("norm1.bias"));
    return linear(y, param("attn.qkv.weight"), this.config.qkvBias ? param("attn.qkv.bias") : undefined);
  }

  /**
   * How much the first token attends to every token in the last block.
   *
   * @param tokens [B, T, D] before the last block
   * @returns [B, heads, T]
   */
  firstTokenAttention(p: Parameters, tokens: tf.Tensor3D): tf.Tensor3D {
    const [B, T, D] = tokens.shape;
    const qkv = this.qkv(p, this.config.depth - 1, tf.reshape(tokens, [B * T, D]));
    return firstTokenAttention(qkv, this.config.numHeads, { batch: B, tokens: T });
  }

  private checkSegment({ tokens, dropPath, keepBlocks = [] }: TransformerSegment): void {
    const { embedDim, depth } = this.config;
    const [B, , D] = tokens.shape;
    check(D === embedDim, `tokens [${tokens.shape}] have not ${embedDim} features`);
    check(
      dropPath === undefined || dropPath.shape.join() === [2 * depth, B].join(),
      `dropPath must be [${2 * depth}, ${B}], not [${dropPath?.shape}]`,
    );
    for (const i of keepBlocks)
      check(i in this.dropPathRates, `there is no block ${i} of ${this.config.depth}`);
  }

  /** Packed rows to one [B, T, D] per segment. */
  private unpack(rows: tf.Tensor2D, layout: Layout): tf.Tensor3D[] {
    return splitRows(rows, layout).map((part, s) =>
      tf.reshape(part, [layout[s]!.batch, layout[s]!.tokens, this.config.embedDim]),
    );
  }
}

/** Which rows belong to which segment. */
type Layout = readonly { readonly batch: number; readonly tokens: number }[];

/** The keep multipliers [rows, 1] of a residual branch; nothing where no segment drops. */
type KeepColumns = (branch: number) => tf.Tensor | undefined;

/** Spreads the [2 depth, B] multipliers of each segment over the rows of its tokens. */
function keepColumns(segments: readonly TransformerSegment[], layout: Layout, depth: number): KeepColumns {
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
  if (!holds) throw new Error(`TransformerBlocks: ${message}`);
}
