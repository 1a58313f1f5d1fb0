import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { attention } from "../../../core/math/index.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "./numeric.ts";

/** softmax(q k^T / sqrt d) v of one sequence, head by head, as the paper writes it. [N, 3 D] -> [N, D] */
function reference(qkv: tf.Tensor2D, heads: number): tf.Tensor2D {
  const [tokens, width] = qkv.shape;
  const d = width / 3 / heads;
  const outputs = Array.from({ length: heads }, (_, h) => {
    const [q, k, v] = [0, 1, 2].map((part) => tf.slice(qkv, [0, (part * heads + h) * d], [tokens, d]));
    const scores = tf.div(tf.matMul(q!, tf.transpose(k!)), Math.sqrt(d));
    return tf.matMul(tf.softmax(scores), v!) as tf.Tensor2D;
  });
  return tf.concat(outputs, 1);
}

const rowsOf = (x: tf.Tensor2D, from: number, count: number) => tf.slice(x, [from, 0], [count, -1]);

describe("core/math attention", () => {
  useCpuBackend();

  const qkv = () => normal<tf.Rank.R2>("qkv", [2 * 3 + 3 * 2, 3 * 4], 1.5);
  const segments = [
    { batch: 2, tokens: 3 },
    { batch: 3, tokens: 2 },
  ];

  it("is the formula on each sequence of each segment", () => {
    const x = qkv();
    const starts = [[0, 3], [3, 3], [6, 2], [8, 2], [10, 2]] as const; // prettier-ignore
    const expected = tf.concat(starts.map(([from, count]) => reference(rowsOf(x, from, count), 2)));
    assertClose(attention(x, 2, segments), expected, 1e-6);
  });

  it("has the gradient of qkv, packed or not, for all queries or the first", () => {
    const packed = (queries: ("all" | "cls")[]) =>
      assertGradients(
        (x) => attention(x as tf.Tensor2D, 2, segments.map((segment, i) => ({ ...segment, queries: queries[i] }))), // prettier-ignore
        [qkv()],
      );
    packed(["all", "all"]);
    packed(["all", "cls"]);
    packed(["cls", "cls"]);
    assertGradients((x) => attention(x as tf.Tensor2D, 4, [{ batch: 4, tokens: 3 }]), [qkv()]);
  });

  it("with queries: cls gives the first row of each sequence", () => {
    const x = qkv();
    const all = attention(x, 2, segments);
    const first = tf.concat([0, 3, 6, 8, 10].map((row) => rowsOf(all, row, 1)));
    const cls = segments.map((segment) => ({ ...segment, queries: "cls" as const }));
    assertClose(attention(x, 2, cls), first, 1e-6);
  });

  it("refuses rows that are not those of the segments, and heads that do not divide the width", () => {
    assert.throws(() => attention(qkv(), 2, [{ batch: 2, tokens: 3 }]), /12 rows, but the segments hold 6/);
    assert.throws(() => attention(qkv(), 3, segments), /3 heads do not divide/);
  });
});
