import assert from "node:assert/strict";
import { blindTopK, ranksOf, topK } from "../../../core/eval/classification.ts";

describe("the accuracy of a classifier", () => {
  it("is of the rank of the right class among the logits", () => {
    const logits = Float32Array.of(3, 2, 1, 1, 2, 3, 0, 5, 1);
    assert.deepEqual(ranksOf(logits, [0, 0, 2], 3), [0, 2, 1]);
    const ranks = [0, 2, 1, 0];
    assert.deepEqual([topK(ranks, 1), topK(ranks, 2), topK(ranks, 3)], [0.5, 0.75, 1]);
  });

  it("counts a class as wrong that is no better than another, and logits that are not numbers", () => {
    assert.deepEqual(ranksOf(Float32Array.of(0, 0, 0), [1], 3), [2]);
    assert.deepEqual(ranksOf(Float32Array.of(NaN, NaN, NaN), [0], 3), [2]);
  });

  it("without looking is that of the classes that are most frequent among the known labels", () => {
    const known = [2, 2, 2, 0, 0, 1];
    const labels = [2, 1, 1, 0];
    assert.deepEqual(
      [1, 2, 3].map((k) => blindTopK(known, labels, 3, k)),
      [0.25, 0.5, 1],
    );
  });
});
