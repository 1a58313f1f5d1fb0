import assert from "node:assert/strict";
import { retrieval } from "../../../core/eval/retrieval.ts";
import { Random } from "../../../core/random.ts";

/** Unit vectors in the plane at the given degrees. */
function angles(...degrees: number[]) {
  const data = degrees.flatMap((d) => [Math.cos((d * Math.PI) / 180), Math.sin((d * Math.PI) / 180)]);
  return { data: Float32Array.from(data), count: degrees.length, dim: 2 };
}

describe("retrieval", () => {
  it("ranks by angle: a constructed case worked by hand", async () => {
    // Query 0 at 10 deg: own at 0 (10 away) after 11 (1) -> rank 2. Query 1 at 90: own at 11 is the farthest
    // but one of 0, 11, 60, 100, 120, 130 -> after 100 (10), 60 and 120 (30), 130 (40) -> rank 5.
    // Query 2 at 60: own at 60 -> rank 1.
    const result = await retrieval({
      queries: angles(10, 90, 60),
      bank: angles(0, 11, 60, 100, 120, 130),
      keep: 2,
    });
    assert.deepEqual([...result.ranks], [2, 5, 1]);
    assert.equal(result.top1, 1 / 3);
    assert.equal(result.recall5, 1);
    assert.ok(Math.abs(result.meanReciprocalRank - (1 / 2 + 1 / 5 + 1) / 3) < 1e-12);
    const { indices, similarities } = result.neighbours;
    assert.deepEqual([indices[0], indices[1], indices[4]], [1, 0, 2]);
    assert.ok(Math.abs(similarities[0]! - Math.cos(Math.PI / 180)) < 1e-6);
  });

  it("finds every noisy copy, and none of them once the bank is turned by one", async () => {
    const random = new Random(0, "retrieval test");
    const [count, dim] = [260, 24];
    const data = Float32Array.from({ length: count * dim }, () => random.normal());
    const noisy = data.map((v) => 3 * (v + 0.1 * random.normal()));
    const found = await retrieval({ queries: { data: noisy, count, dim }, bank: { data, count, dim } });
    assert.equal(found.top1, 1);
    assert.equal(found.meanReciprocalRank, 1);
    assert.deepEqual(
      [...found.neighbours.indices].filter((_, i) => i % 5 === 0),
      Array.from({ length: count }, (_, i) => i),
    );
    const turned = Float32Array.from(data, (_, i) => data[(i + dim) % data.length]!);
    const lost = await retrieval({
      queries: { data: noisy, count, dim },
      bank: { data: turned, count, dim },
    });
    assert.equal(lost.top1, 0);
    assert.ok(lost.meanReciprocalRank < 0.1);
  });

  it("gives collapsed features no credit: only the lower index wins a tie", async () => {
    const same = angles(...Array.from({ length: 10 }, () => 30));
    const result = await retrieval({ queries: same, bank: same });
    assert.deepEqual([...result.ranks], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.equal(result.top1, 0.1);
    assert.equal(result.recall5, 0.5);
  });

  it("refuses a bank smaller than the queries, and no queries", async () => {
    const options = { queries: angles(1, 2), bank: angles(1) };
    await assert.rejects(retrieval(options), { code: "EVAL_INVALID", message: /2 queries for a bank of 1/ });
    const none = { queries: { data: new Float32Array(0), count: 0, dim: 2 }, bank: angles(1) };
    await assert.rejects(retrieval(none), { code: "EVAL_INVALID" });
  });
});
