import assert from "node:assert/strict";
import { didYouMean, editDistance } from "../../../core/config/did-you-mean.ts";

describe("did you mean", () => {
  it("counts insertions, deletions, substitutions and swaps of neighbours", () => {
    assert.equal(editDistance("weight", "weight"), 0);
    assert.equal(editDistance("weigth", "weight"), 1);
    assert.equal(editDistance("weght", "weight"), 1);
    assert.equal(editDistance("weights", "weight"), 1);
    assert.equal(editDistance("height", "weight"), 1);
    assert.equal(editDistance("kitten", "sitting"), 3);
    assert.equal(editDistance("", "abc"), 3);
    assert.equal(editDistance("ca", "abc"), 3); // no edit between swapped letters
  });

  it("finds the nearest name, without regard to case and separators", () => {
    const known = ["batchSize", "epochs", "lr", "minLr", "warmupEpochs"];
    assert.equal(didYouMean("batch_size", known), "batchSize");
    assert.equal(didYouMean("epoch", known), "epochs");
    assert.equal(didYouMean("LR", known), "lr");
    assert.equal(didYouMean("warmup", known), "warmupEpochs");
    assert.equal(didYouMean("epochsInTotal", known), "epochs");
  });

  it("is silent where nothing is near", () => {
    assert.equal(didYouMean("momentum", ["epochs", "lr"]), undefined);
    assert.equal(didYouMean("anything", []), undefined);
    assert.equal(didYouMean("x", ["xylophone"]), undefined);
    assert.equal(didYouMean("lrSchedule", ["lr"]), undefined);
  });
});
