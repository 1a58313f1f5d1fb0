import assert from "node:assert/strict";
import { adjustedRandIndex, normalisedMutualInformation } from "../../../core/eval/clustering-scores.ts";
import { unitRows } from "../../../core/eval/features.ts";
import { kMeans } from "../../../core/eval/k-means.ts";
import { Random } from "../../../core/random.ts";
import { coded } from "../trainer/tiny.ts";
import { labelledGolden, trainOf } from "./labelled-golden.ts";

const golden = labelledGolden();

describe("scores of a clustering", () => {
  golden.clusterings.forEach(({ labels, clusters, nmi, ari }, i) => {
    it(`are scikit-learn's: NMI ${nmi.toFixed(3)}, ARI ${ari.toFixed(3)} (${i + 1})`, () => {
      assert.ok(Math.abs(normalisedMutualInformation(labels, clusters) - nmi) < 1e-12);
      assert.ok(Math.abs(adjustedRandIndex(labels, clusters) - ari) < 1e-12);
    });
  });

  it("do not depend on what clusters are called, nor on which is the label", () => {
    const { labels, clusters } = golden.clusterings[0]!;
    const renamed = clusters.map((c) => 100 - 7 * c);
    for (const score of [normalisedMutualInformation, adjustedRandIndex]) {
      assert.ok(Math.abs(score(labels, renamed) - score(labels, clusters)) < 1e-12);
      assert.ok(Math.abs(score(clusters, labels) - score(labels, clusters)) < 1e-12);
    }
  });

  it("take as many assignments as labels", () => {
    assert.throws(() => normalisedMutualInformation([0, 1], [0]), coded("EVAL_INVALID", "1 assignments"));
    assert.throws(() => adjustedRandIndex([], []), coded("EVAL_INVALID"));
  });
});

describe("kMeans", () => {
  it("finds clusters as tight as scikit-learn's", async () => {
    const features = unitRows(trainOf(golden), "features");
    const found = await kMeans(features, { k: golden.shape[3], seed: 0, restarts: 10 });
    const { inertia } = golden.kmeans;
    assert.ok(found.inertia < 1.001 * inertia, `${found.inertia}, scikit-learn ${inertia}`);
    const { data, dim } = features;
    const own = found.assignments.reduce((sum, cluster, i) => {
      for (let d = 0; d < dim; d++) sum += (data[i * dim + d]! - found.centers[cluster * dim + d]!) ** 2;
      return sum;
    }, 0);
    assert.ok(Math.abs(own - found.inertia) < 1e-4 * own);
    for (let c = 0; c < golden.shape[3]; c++) {
      const rows = [...found.assignments.keys()].filter((i) => found.assignments[i] === c);
      for (let d = 0; d < dim; d++) {
        const mean = rows.reduce((sum, i) => sum + data[i * dim + d]! / rows.length, 0);
        assert.ok(Math.abs(found.centers[c * dim + d]! - mean) < 1e-6, "a center is the mean of its rows");
      }
    }
  });

  it("finds blobs that lie apart, whatever the seed", async () => {
    const random = new Random(3, "blobs");
    const count = 60;
    const data = Float32Array.from({ length: 2 * count }, (_, i) => {
      const blob = (i >> 1) % 3;
      return 10 * (i % 2 === 0 ? blob : blob ** 2) + random.normal();
    });
    const labels = Int32Array.from({ length: count }, (_, i) => i % 3);
    for (const seed of [1, 2, 3]) {
      const { assignments } = await kMeans({ data, count, dim: 2 }, { k: 3, seed, restarts: 3 });
      assert.equal(adjustedRandIndex(labels, assignments), 1);
    }
  });

  it("fills every cluster, also of rows that are the same", async () => {
    const data = Float32Array.of(0, 0, 0, 0, 5);
    const { assignments, inertia } = await kMeans({ data, count: 5, dim: 1 }, { k: 2, seed: 0, restarts: 1 });
    assert.equal(new Set(assignments).size, 2);
    assert.equal(inertia, 0);
    const same = await kMeans(
      { data: new Float32Array(4), count: 4, dim: 1 },
      { k: 3, seed: 0, restarts: 2 },
    );
    assert.equal(same.inertia, 0);
  });

  it("gives the same for the same seed, and refuses more clusters than rows", async () => {
    const features = trainOf(golden);
    const once = await kMeans(features, { k: 6, seed: 5, restarts: 2 });
    assert.deepEqual(await kMeans(features, { k: 6, seed: 5, restarts: 2 }), once);
    await assert.rejects(kMeans(features, { k: 91, seed: 0, restarts: 1 }), coded("EVAL_INVALID", "k = 91"));
  });
});
