import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { fused } from "./fused.ts";
import { withGradient } from "./with-gradient.ts";

/** A block of rows: `batch` sequences of `tokens` tokens. */
export interface AttentionSegment {
  readonly batch: number;
  readonly tokens: number;
  /** "cls": only the first token of each sequence asks; the others are read, and their rows left out. */
  readonly queries?: "all" | "cls";
}

/**
 * Multi-head self-attention (arXiv 1706.03762, eq. 1) of packed sequences: the rows of all segments lie one
 * after the other, and each sequence attends to itself. With d = D / heads, per sequence and head:
 *
 *     A = softmax(q k^T / sqrt d),   o = A v
 *     dv = A^T do,   dA = do v^T,   dS = A (dA - rowsum(dA A)) / sqrt d,   dq = dS k,   dk = dS^T q
 *
 * @param qkv [R, 3 D]: q, k and v beside each other, each head by head; R = sum of batch * tokens
 * @returns [sum of batch * tokens, or of batch where queries is "cls", D]
 * @throws Error if the rows are not those of the segments, or the heads do not divide D
 */
export function attention(
  qkv: tf.Tensor2D,
  heads: number,
  segments: readonly AttentionSegment[],
): tf.Tensor2D {
  const [rows, width] = qkv.shape;
  const headDim = width / (3 * heads);
  if (!Number.isInteger(headDim)) throw new Error(`attention: ${heads} heads do not divide [${qkv.shape}]`);
  const sizes = segments.map(({ batch, tokens }) => batch * tokens);
  if (sizes.reduce((sum, size) => sum + size, 0) !== rows) {
    throw new Error(`attention: ${rows} rows, but the segments hold ${sizes.join(" + ")}`);
  }
  const shapes = segments.map((segment) => ({ ...segment, heads, headDim }));
  return withGradient<tf.Tensor2D, tf.Tensor[]>(
    [qkv],
    () => {
      const parts = unpack(qkv, sizes);
      const results = shapes.map((shape, i) => attend(parts[i]!, shape));
      const saved = results.flatMap(({ weights, q, k, v }) => [weights, q, k, v]);
      return { value: pack(results.map(({ output }) => output)), saved };
    },
    (dy, saved) => {
      const parts = unpack(
        dy,
        shapes.map((shape) => shape.batch * queriesOf(shape)),
      );
      const gradients = shapes.map((shape, i) => {
        const [weights, q, k, v] = saved.slice(4 * i, 4 * i + 4) as FourTensors;
        return attendGradient(parts[i]!, shape, { weights, q, k, v });
      });
      return [pack(gradients)];
    },
  );
}

/**
 * The weights A of `attention` alone, of the first token of each sequence. It has no gradient of its own.
 *
 * @param qkv [batch * tokens, 3 D]
 * @returns [batch, heads, tokens], rows sum to 1
 */
export function firstTokenAttention(
  qkv: tf.Tensor2D,
  heads: number,
  { batch, tokens }: AttentionSegment,
): tf.Tensor3D {
  const { weights } = attend(qkv, {
    batch,
    tokens,
    queries: "cls",
    heads,
    headDim: qkv.shape[1] / (3 * heads),
  });
  return tf.reshape(weights, [batch, heads, tokens]);
}

type FourTensors = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

interface SegmentShape extends AttentionSegment {
  readonly heads: number;
  readonly headDim: number;
}

/** What the gradient needs. */
interface Attended {
  readonly weights: tf.Tensor; // [B, h, Q, N]
  readonly q: tf.Tensor; // [B, h, Q, d]
  readonly k: tf.Tensor; // [B, h, N, d]
  readonly v: tf.Tensor; // [B, h, N, d]
}

const queriesOf = ({ queries, tokens }: AttentionSegment) => (queries === "cls" ? 1 : tokens);

/** One segment: its rows [B N, 3 D] to the output [B Q, D], and what the gradient needs. */
function attend(rows: tf.Tensor2D, shape: SegmentShape): Attended & { readonly output: tf.Tensor2D } {
  const { batch, tokens, heads, headDim } = shape;
  const queries = queriesOf(shape);
  const split = tf.transpose(tf.reshape(rows, [batch, tokens, 3, heads, headDim]), [2, 0, 3, 1, 4]);
  const [allQ, k, v] = tf.unstack(split) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const q = queries === tokens ? allQ : tf.slice(allQ, [0, 0, 0, 0], [batch, heads, queries, headDim]);
  const scaled = float32(() => fused("scale", () => tf.mul(q, headDim ** -0.5)));
  const weights = tf.softmax(tf.matMul(scaled, k, false, true)); // [B, h, Q, N]
  const merged = tf.transpose(tf.matMul(weights, v), [0, 2, 1, 3]); // [B, Q, h, d]
  const output = tf.reshape(merged, [batch * queries, heads * headDim]) as tf.Tensor2D;
  return { weights, q, k, v, output };
}

/** From d output [B Q, D] to d rows [B N, 3 D]. */
function attendGradient(dy: tf.Tensor2D, shape: SegmentShape, saved: Attended): tf.Tensor2D {
  const { batch, tokens, heads, headDim } = shape;
  const queries = queriesOf(shape);
  const { weights, q, k, v } = saved;
  const dOutput = tf.transpose(tf.reshape(dy, [batch, queries, heads, headDim]), [0, 2, 1, 3]); // [B, h, Q, d]
  const dWeights = tf.matMul(dOutput, v, false, true);
  const dScores = float32(() =>
    fused("softmaxGrad", () => {
      const along = tf.sum(tf.mul(dWeights, weights), -1, true);
      return tf.mul(tf.mul(weights, tf.sub(dWeights, along)), headDim ** -0.5);
    }),
  ); // [B, h, Q, N]
  const dWantedQ = tf.matMul(dScores, k);
  const dQ = queries === tokens ? dWantedQ : tf.pad(dWantedQ, [[0, 0], [0, 0], [0, tokens - queries], [0, 0]]); // prettier-ignore
  const dK = tf.matMul(dScores, q, true);
  const dV = tf.matMul(weights, dOutput, true);
  const merged = tf.transpose(tf.stack([dQ, dK, dV]), [1, 3, 0, 2, 4]); // [B, N, 3, h, d]
  return tf.reshape(merged, [batch * tokens, 3 * heads * headDim]);
}

function unpack(rows: tf.Tensor2D, sizes: number[]): tf.Tensor2D[] {
  if (sizes.length === 1) return [rows];
  let from = 0;
  return sizes.map((size) => {
    const part = tf.slice(rows, [from, 0], [size, -1]);
    from += size;
    return part;
  });
}

function pack(parts: tf.Tensor2D[]): tf.Tensor2D {
  return parts.length === 1 ? parts[0]! : tf.concat(parts, 0);
}
