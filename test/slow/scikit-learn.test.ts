/** Evaluations by labels beside scikit-learn, on features of several sizes. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { unitRows } from "../../core/eval/features.ts";
import { kMeans } from "../../core/eval/k-means.ts";
import { knnClassify } from "../../core/eval/knn.ts";
import { classify, fitSoftmaxRegression } from "../../core/eval/softmax-regression.ts";
import { disagreement, testOf, trainOf, type LabelledGolden } from "../core/eval/labelled-golden.ts";
import { pythonWith } from "./python-with.ts";

const reference = fileURLToPath(new URL("../core/eval/labelled.reference.py", import.meta.url));

/** train, test, dim, classes, seed */
const SIZES = [
  [300, 200, 16, 3, 1],
  [1500, 500, 96, 20, 2],
  [400, 300, 384, 10, 3],
  [3000, 1000, 64, 2, 4],
] as const;

describe("evaluations beside scikit-learn", function () {
  this.timeout(600_000);

  const python = pythonWith("sklearn");

  for (const sizes of SIZES) {
    const [train, test, dim, classes] = sizes;
    describe(`${train} and ${test} rows of ${dim}, ${classes} classes`, () => {
      let golden: LabelledGolden;
      before(() => {
        const { status, stdout, stderr } = spawnSync(python(), [reference, ...sizes.map(String)], {
          encoding: "utf8",
          maxBuffer: 2 ** 28,
          // Its threads wait for each other where other work has the cores.
          env: { ...process.env, OMP_NUM_THREADS: "1" },
        });
        assert.equal(status, 0, stderr);
        golden = JSON.parse(stdout) as LabelledGolden;
      });

      it("k-NN predicts the same, but for ties", async () => {
        for (const { k, temperature, predictions } of golden.knn) {
          const found = await knnClassify({
            queries: testOf(golden),
            bank: trainOf(golden),
            queryLabels: golden.testLabels,
            bankLabels: golden.trainLabels,
            numClasses: classes,
            k,
            temperature,
          });
          const share = disagreement(found.predictions, predictions);
          assert.ok(share <= 2 / test, `${100 * share} % differ at k = ${k}`);
        }
      });

      it("logistic regression has the optimum, and the accuracy within a point", async () => {
        for (const { c, standardise, objective, accuracy } of golden.logistic) {
          const options = { l2: 1 / c, standardise };
          const found = await fitSoftmaxRegression(trainOf(golden), golden.trainLabels, classes, options);
          const how = `C = ${c}, ${standardise ? "standardised" : "as they are"}`;
          assert.ok(found.converged, how);
          assert.ok(
            Math.abs(found.objective / objective - 1) < 1e-4,
            `${how}: ${found.objective} and ${objective}`,
          );
          const { top1 } = await classify(found, testOf(golden), golden.testLabels);
          assert.ok(Math.abs(top1 - accuracy) < 0.01, `${how}: ${top1} and ${accuracy}`);
        }
      });

      it("k-means finds clusters as tight", async () => {
        const features = unitRows(trainOf(golden), "features");
        const { inertia } = await kMeans(features, { k: classes, seed: 0, restarts: 10 });
        const ratio = inertia / golden.kmeans.inertia;
        assert.ok(ratio < 1.01, `${ratio} of scikit-learn's`);
      });
    });
  }
});
