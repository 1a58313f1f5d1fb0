import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { featureStd, relationVariation, targetSignals } from "../../../core/math/index.ts";
import { readGolden } from "../../support/golden.ts";
import { normal, useCpuBackend } from "./numeric.ts";

/** Of signals.reference.py. */
type Golden = Record<"features" | "relation" | "counted" | "targets" | "used", number[]> &
  Record<
    | "featureStd"
    | "relationVariation"
    | "crossEntropy"
    | "targetEntropy"
    | "klDivergence"
    | "prototypesUsed"
    | "prototypePerplexity",
    number
  >;
const golden = readGolden<Golden>(import.meta.url, "signals.golden.json");

const numberOf = (value: tf.Tensor): number => {
  assert.deepEqual(value.shape, []);
  return value.dataSync()[0]!;
};

function near(value: tf.Tensor, expected: number, tolerance = 1e-5): void {
  const got = numberOf(value);
  assert.ok(
    Math.abs(got - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${got}, not ${expected}`,
  );
}

describe("signals of health", () => {
  useCpuBackend();

  describe("featureStd", () => {
    it("is NumPy's", () => near(featureStd(tf.tensor2d(golden.features, [10, 4]), 2), golden.featureStd));

    it("is 0 where all images are alike, whatever their lengths, and 1/sqrt(D) where they point everywhere", () => {
      near(
        featureStd(
          tf.tensor2d([
            [1, 2],
            [2, 4],
            [3, 6],
            [0.1, 0.2],
          ]),
          1,
        ),
        0,
        1e-6,
      );
      near(featureStd(normal<tf.Rank.R2>("features", [4000, 16]), 1), 0.25, 0.01);
    });

    it("does not take two views of an image for two images", () => {
      const views = tf.tensor2d([
        [1, 0],
        [1, 0],
        [0, 1],
        [0, 1],
      ]);
      near(featureStd(views, 2), 0, 1e-6);
      assert.ok(numberOf(featureStd(views, 1)) > 0.5);
      assert.throws(() => featureStd(views, 4), /fewer than two images/);
    });
  });

  describe("relationVariation", () => {
    const relation = () => tf.tensor3d(golden.relation, [4, 2, 3]);

    it("is NumPy's, of the samples that count", () =>
      near(relationVariation(relation(), tf.tensor1d(golden.counted)), golden.relationVariation));

    it("does not depend on the relation's size, and is 0 where all samples are alike or none counts", () => {
      near(relationVariation(tf.mul(relation(), 7)), numberOf(relationVariation(relation())));
      near(relationVariation(tf.tile(tf.slice(relation(), 0, 1), [3, 1, 1])), 0, 1e-6);
      near(relationVariation(relation(), tf.zeros([4])), 0, 0);
    });
  });

  describe("targetSignals", () => {
    const signals = () =>
      targetSignals({
        targets: tf.tensor2d(golden.targets, [6, 5]),
        crossEntropy: tf.scalar(golden.crossEntropy),
        used: tf.tensor1d(golden.used),
      });
    for (const name of ["targetEntropy", "klDivergence", "prototypesUsed", "prototypePerplexity"] as const) {
      it(`gives NumPy's ${name}`, () => near(signals()[name], golden[name]));
    }

    const ofAll = (rows: number[][]) =>
      targetSignals({ targets: tf.tensor2d(rows), crossEntropy: tf.scalar(0) });

    it("of uniform targets: all of ln K, and one that is voted for", () => {
      const { targetEntropy, prototypePerplexity, prototypesUsed } = ofAll(
        new Array(3).fill([0.25, 0.25, 0.25, 0.25]),
      );
      near(targetEntropy, 1);
      near(prototypePerplexity, 4);
      near(prototypesUsed, 1 / 3);
    });

    it("of one prototype for all: none of ln K, one effective; of one for each: as many as there are targets", () => {
      const one = ofAll([
        [0, 1, 0],
        [0, 1, 0],
      ]);
      near(one.targetEntropy, 0);
      near(one.prototypePerplexity, 1);
      near(one.prototypesUsed, 0.5);
      const each = ofAll([
        [0, 1, 0],
        [1, 0, 0],
      ]);
      near(each.targetEntropy, 0);
      near(each.prototypePerplexity, 2);
      near(each.prototypesUsed, 1);
    });
  });
});
