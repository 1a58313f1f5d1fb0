import assert from "node:assert/strict";
import type { Features } from "../../../core/eval/features.ts";
import { knnClassify, knnVote } from "../../../core/eval/knn.ts";
import { matMul } from "../../../core/eval/mat-mul.ts";
import { nearestNeighbours } from "../../../core/eval/neighbours.ts";
import { Random } from "../../../core/random.ts";
import { labelledGolden, testOf, trainOf } from "./labelled-golden.ts";

function rows(...vectors: number[][]): Features {
  return { data: Float32Array.from(vectors.flat()), count: vectors.length, dim: vectors[0]!.length };
}

/** Clusters of unequal lengths around random class centers, hard enough that many are misclassified. */
function clusters(count: number, dim: number, numClasses: number, seed: number) {
  const centers = new Random(0, "centers");
  const center = Array.from({ length: numClasses * dim }, () => centers.normal());
  const random = new Random(seed, "clusters");
  const labels = Int32Array.from({ length: count }, () => random.integer(0, numClasses - 1));
  const data = new Float32Array(count * dim);
  for (let i = 0; i < count; i++) {
    const length = random.uniform(0.1, 10);
    for (let d = 0; d < dim; d++) {
      data[i * dim + d] = length * (center[labels[i]! * dim + d]! + 1.5 * random.normal());
    }
  }
  return { features: { data, count, dim }, labels };
}

/** The protocol written as plainly as possible, in double precision, without tiles or partial sorts. */
function bruteForce(
  queries: Features,
  bank: Features,
  bankLabels: Int32Array,
  k: number,
  temperature: number,
  numClasses: number,
): number[][] {
  const row = ({ data, dim }: Features, i: number) => [...data.subarray(i * dim, (i + 1) * dim)];
  const cosine = (a: number[], b: number[]) =>
    a.reduce((sum, x, d) => sum + x * b[d]!, 0) / (Math.hypot(...a) * Math.hypot(...b));
  return Array.from({ length: queries.count }, (_, q) => {
    const ranked = Array.from({ length: bank.count }, (_, b) => ({
      b,
      s: cosine(row(queries, q), row(bank, b)),
    }));
    ranked.sort((x, y) => y.s - x.s || x.b - y.b);
    const votes = Array.from({ length: numClasses }, () => 0);
    for (const { b, s } of ranked.slice(0, k)) votes[bankLabels[b]!]! += Math.exp(s / temperature);
    return votes
      .map((vote, c) => ({ vote, c }))
      .filter(({ vote }) => vote > 0)
      .sort((x, y) => y.vote - x.vote || x.c - y.c)
      .map(({ c }) => c);
  });
}

describe("knnClassify", () => {
  it("weights votes by exp(similarity / T): two near neighbours against one nearest, by hand", async () => {
    // Cosines with the query: 1 (class 0), 0.96 and 0.96 (class 1). Votes against class 0's exp(1 / T):
    // T = 0.07 gives 2 exp(-0.04 / 0.07) = 1.129 > 1; T = 0.03 gives 2 exp(-0.04 / 0.03) = 0.527 < 1.
    const options = {
      queries: rows([2, 0]),
      queryLabels: [1],
      bank: rows([3, 0], [0.96, 0.28], [0.96, -0.28]),
      bankLabels: [0, 1, 1],
      k: 3,
      numClasses: 2,
    };
    assert.deepEqual([...(await knnClassify(options)).predictions], [1]);
    assert.equal((await knnClassify(options)).top1, 1);
    assert.deepEqual([...(await knnClassify({ ...options, temperature: 0.03 })).predictions], [0]);
    assert.equal((await knnClassify({ ...options, temperature: 0.03 })).top1, 0);
  });

  for (const k of [1, 5, 20]) {
    it(`agrees with a brute-force reference at k = ${k}`, async () => {
      const bank = clusters(301, 12, 7, 1);
      const queries = clusters(257, 12, 7, 2);
      const ranked = bruteForce(queries.features, bank.features, bank.labels, k, 0.07, 7);
      const result = await knnClassify({
        queries: queries.features,
        queryLabels: queries.labels,
        bank: bank.features,
        bankLabels: bank.labels,
        k,
        numClasses: 7,
      });
      const share = (places: number) =>
        ranked.filter((classes, q) => classes.slice(0, places).includes(queries.labels[q]!)).length / 257;
      assert.deepEqual(
        [...result.predictions],
        ranked.map((classes) => classes[0]),
      );
      assert.equal(result.top1, share(1));
      assert.equal(result.top5, share(5));
      assert.ok(result.top1 > 0.3 && result.top1 < 0.95, `a case that can be got wrong: ${result.top1}`);
    });
  }

  it("does not depend on the length of the features, nor on which matMul is used", async () => {
    const { features, labels } = clusters(90, 8, 6, 3);
    const scaled = { ...features, data: features.data.map((v) => v * 1024) };
    let calls = 0;
    const options = { queryLabels: labels, bankLabels: labels, k: 5, numClasses: 6, excludeSelf: true };
    const plain = await knnClassify({ ...options, queries: features, bank: features });
    const other = await knnClassify({
      ...options,
      queries: scaled,
      bank: features,
      matMul: async (...args) => {
        calls++;
        return matMul(...args);
      },
    });
    assert.deepEqual(other, plain);
    assert.equal(calls, 1);
  });

  it("leaves a query's own row out with excludeSelf", async () => {
    const features = rows([1, 0], [0, 1], [1, 0.1], [0.1, 1]);
    const labels = [0, 1, 2, 3];
    const options = {
      queries: features,
      bank: features,
      queryLabels: labels,
      bankLabels: labels,
      k: 1,
      numClasses: 4,
    };
    assert.equal((await knnClassify(options)).top1, 1);
    const left = await knnClassify({ ...options, excludeSelf: true });
    assert.deepEqual([...left.predictions], [2, 3, 0, 1]);
    assert.equal(left.top1, 0);
    assert.equal(left.top5, undefined);
  });

  it("breaks ties by lower index and lower class", async () => {
    const same = rows([1, 2], [1, 2], [1, 2], [1, 2]);
    const { indices } = await nearestNeighbours({ queries: same, bank: same, k: 3 });
    assert.deepEqual([...indices], [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    const options = { queries: same, bank: same, queryLabels: [0, 0, 0, 0], numClasses: 6, k: 4 };
    const tied = await knnClassify({ ...options, bankLabels: [4, 3, 4, 3] });
    assert.deepEqual([...tied.predictions], [3, 3, 3, 3]);
    // Class 0 got no vote: it is not among the five, although only two classes got any.
    assert.equal(tied.top5, 0);
  });

  it("votes by fewer neighbours than were searched", async () => {
    const bank = clusters(120, 10, 5, 4);
    const queries = clusters(60, 10, 5, 5);
    const labels = { queryLabels: queries.labels, bankLabels: bank.labels, numClasses: 5 };
    const neighbours = await nearestNeighbours({ queries: queries.features, bank: bank.features, k: 20 });
    const direct = await knnClassify({ ...labels, queries: queries.features, bank: bank.features, k: 7 });
    assert.deepEqual(knnVote(neighbours, { ...labels, k: 7 }), direct);
    assert.throws(() => knnVote(neighbours, { ...labels, k: 21 }), { code: "EVAL_INVALID" });
    assert.throws(() => knnVote(neighbours, { ...labels, temperature: 0 }), { code: "EVAL_INVALID" });
  });

  describe("refuses", () => {
    const two = rows([1, 0], [0, 1]);
    const good = { queries: two, bank: two, queryLabels: [0, 1], bankLabels: [0, 1], k: 1, numClasses: 2 };
    const cases: [string, Partial<Parameters<typeof knnClassify>[0]>, RegExp][] = [
      ["k above the bank", { k: 3 }, /k = 3 of 2 bank rows/],
      ["k above the bank without the query itself", { k: 2, excludeSelf: true }, /k = 2 of 1 bank rows/],
      [
        "excludeSelf of unequal sets",
        { excludeSelf: true, queries: rows([1, 0]), queryLabels: [0] },
        /excludeSelf/,
      ],
      ["a label outside the classes", { bankLabels: [0, 2] }, /bankLabels\[1\] is 2/],
      ["a missing label", { queryLabels: [0] }, /1 queryLabels for 2 features/],
      ["features that are not finite", { bank: rows([1, 0], [NaN, 1]) }, /row 1 of the bank is not finite/],
      ["features of another width", { bank: rows([1, 0, 0], [0, 1, 0]) }, /2 columns, the bank has 3/],
      ["a matrix of the wrong length", { queries: { ...two, dim: 3 } }, /columns/],
      ["a matrix with missing rows", { bank: { ...two, data: two.data.subarray(2) } }, /not 2 x 2/],
    ];
    for (const [what, change, message] of cases) {
      it(what, async () => {
        await assert.rejects(knnClassify({ ...good, ...change }), { code: "EVAL_INVALID", message });
      });
    }
  });
});

describe("knnClassify beside scikit-learn", () => {
  const golden = labelledGolden();
  for (const { k, temperature, predictions } of golden.knn) {
    it(`predicts what KNeighborsClassifier does: k = ${k}, T = ${temperature}`, async () => {
      const found = await knnClassify({
        queries: testOf(golden),
        bank: trainOf(golden),
        queryLabels: golden.testLabels,
        bankLabels: golden.trainLabels,
        numClasses: golden.shape[3],
        k,
        temperature,
      });
      assert.deepEqual([...found.predictions], predictions);
    });
  }
});
