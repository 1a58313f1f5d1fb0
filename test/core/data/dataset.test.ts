import assert from "node:assert/strict";
import { evenlySpaced, indexedDataset, listDataset, subset } from "../../../core/data/dataset.ts";

const letters = listDataset({
  name: "letters",
  ids: ["a", "b", "c", "d"],
  pathOf: (id) => `/${id}.png`,
  classNames: ["vowel", "consonant"],
  labels: Int32Array.of(0, 1, 1, 1),
});

describe("a subset of a dataset", () => {
  it("has the items that are asked for, in that order", () => {
    const part = subset(letters, "part", [2, 0]);
    assert.deepEqual([part.name, part.size, part.classNames], ["part", 2, letters.classNames]);
    assert.deepEqual([part.item(0), part.item(1)], [letters.item(2), letters.item(0)]);
    for (const index of [-1, 2, 0.5])
      assert.throws(() => part.item(index), { code: "DATASET_INDEX", message: /part/ });
  });

  it("is told from others by its items, and not from the whole that it is", () => {
    const fingerprint = (indices: number[]) => subset(letters, "part", indices).fingerprint;
    assert.equal(fingerprint([0, 1, 2, 3]), letters.fingerprint);
    const others = [[0, 1, 2], [0, 1, 3], [1, 0, 2], []].map(fingerprint); // prettier-ignore
    assert.equal(new Set([letters.fingerprint, ...others]).size, 5);
  });

  it("keeps together what lies together", () => {
    const inBlocks = indexedDataset({
      name: "shards",
      size: 12,
      idOf: String,
      sourceOf: (index) => ({ path: String(index) }),
      blocks: { starts: Int32Array.of(0, 4, 6, 9), window: 2, most: 3 },
    });
    const { blocks } = subset(inBlocks, "part", [1, 2, 3, 7, 8, 9, 11]);
    assert.deepEqual(blocks, { starts: Int32Array.of(0, 3, 5), window: 2, most: 3 });
    assert.equal(subset(letters, "part", [0]).blocks, undefined);
  });
});

it("evenlySpaced keeps the ends of a sorted list apart", () => {
  assert.deepEqual(evenlySpaced([0, 1, 2, 3, 4, 5], 3), [0, 2, 4]);
  assert.deepEqual(evenlySpaced([0, 1], 5), [0, 1]);
});
