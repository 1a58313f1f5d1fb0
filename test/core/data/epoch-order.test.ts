import assert from "node:assert/strict";
import fc from "fast-check";
import { indexedDataset, type Dataset } from "../../../core/data/dataset.ts";
import { epochOrder } from "../../../core/data/epoch-order.ts";
import { Random } from "../../../core/random.ts";

/** Blocks of these sizes, without images. */
function blocksOf(sizes: readonly number[], window: number): Dataset {
  const starts = sizes.map((_, block) => sizes.slice(0, block).reduce((a, b) => a + b, 0));
  return indexedDataset({
    name: "blocks",
    size: sizes.reduce((a, b) => a + b, 0),
    idOf: String,
    sourceOf: (index) => ({ path: String(index) }),
    blocks: { starts: Int32Array.from(starts), window },
  });
}

const blockOf = ({ blocks }: Dataset, index: number) =>
  blocks!.starts.findLastIndex((start) => start <= index);

describe("epochOrder", () => {
  it("is the full shuffle of images that do not lie in blocks", () => {
    const { blocks: _, ...folder } = blocksOf([30], 1);
    assert.deepEqual(epochOrder(folder, 5, 2), new Random(5, "order", 2).permutation(30));
  });

  it("shows every image once, from as many blocks at a time as the window has", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 40 });
    const small = fc.integer({ min: 0, max: 50 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 50 }), small, small, (sizes, window, seed, epoch) => {
        const dataset = blocksOf(sizes, window);
        const order = epochOrder(dataset, seed, epoch);
        assert.deepEqual(
          Int32Array.from(order).sort(),
          Int32Array.from({ length: dataset.size }, (_, i) => i),
        );
        // Blocks are opened in groups of `window`: after the last image of a group comes none of it.
        const blocks = [...order].map((index) => blockOf(dataset, index));
        const opened = [...new Set(blocks)];
        const group = new Map(opened.map((block, at) => [block, Math.floor(at / window)]));
        const groups = blocks.map((block) => group.get(block)!);
        assert.deepEqual(groups, groups.toSorted((a, b) => a - b)); // prettier-ignore
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it("is another one in each epoch and for each seed: of the blocks, and within them", () => {
    const dataset = blocksOf([10, 10, 10, 10, 10, 10], 2);
    const orders = [[0, 0], [0, 1], [0, 2], [1, 0]].map(([seed, epoch]) => epochOrder(dataset, seed!, epoch!)); // prettier-ignore
    assert.equal(new Set(orders.map(String)).size, 4);
    const blocks = orders.map((order) => [...new Set([...order].map((index) => blockOf(dataset, index)))]);
    assert.equal(new Set(blocks.map(String)).size, 4);
    const ofFirst = orders.map((order) => order.filter((index) => index < 10));
    assert.equal(new Set(ofFirst.map(String)).size, 4);
    assert.deepEqual(epochOrder(dataset, 0, 0), orders[0]);
  });

  it("mixes the blocks of a window, not of the others", () => {
    const dataset = blocksOf([50, 50, 50, 50], 2);
    const changes = (order: Int32Array) =>
      order.filter((index, at) => at > 0 && blockOf(dataset, index) !== blockOf(dataset, order[at - 1]!))
        .length;
    // Of two blocks of 50, every other image is of the other block: 99 neighbours, half of them, twice.
    assert.ok(Math.abs(changes(epochOrder(dataset, 3, 0)) - 100) < 30);
    assert.equal(changes(epochOrder(dataset, 3, 0, 1)), 3, "a window of one block does not mix");
  });
});
