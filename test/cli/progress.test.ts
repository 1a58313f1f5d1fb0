import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { bar, bytes, liveLine, plainLine, type StepView } from "../../cli/progress.ts";

const view: StepView = {
  step: 41,
  totalSteps: 1000,
  epoch: 0.42,
  epochs: 10,
  scalars: { loss: 5.23456, "loss/dino": 4.1, "loss/ibot": 1.13456, lr: 1e-3 },
  imagesPerSecond: 85.04,
  etaSeconds: 180,
  memoryBytes: 1.234e9,
  waitShare: 0.02,
  hostShare: 0,
};

const live = (changes: Partial<StepView>, width: number) =>
  stripVTControlCharacters(liveLine({ ...view, ...changes }, width));

describe("progress", () => {
  it("tells everything where there is room", () => {
    assert.equal(
      live({}, 200),
      "epoch 1/10  ━───────────────────    4 %    42/1000  loss 5.235  dino 4.100  ibot 1.135" +
        "  85.04 images/s  3 min left  1.2 GB",
    );
  });

  it("leaves out what matters least first, and never more columns than there are", () => {
    assert.equal(live({}, 63), "epoch 1/10  ━───────────────────    4 %  loss 5.235  3 min left");
    assert.equal(live({}, 62), "epoch 1/10    4 %  loss 5.235  3 min left");
    assert.equal(live({}, 10), "  4 %");
    for (let width = 1; width <= 150; width++) assert.ok(live({}, width).length <= width, `${width}`);
  });

  it("does not move while numbers grow", () => {
    const lengths = [0, 9, 99, 999].map((step) => live({ step }, 200).length);
    assert.deepEqual(new Set(lengths).size, 1);
  });

  it("has no terms where the loss is one", () => {
    assert.doesNotMatch(live({ scalars: { loss: 4.1, "loss/dino": 4.1 } }, 200), /dino/);
  });

  it("says when training waits for images, and when a loss is not finite", () => {
    assert.match(live({ waitShare: 0.34 }, 200), /waiting for images 34 %/);
    assert.match(plainLine({ ...view, waitShare: 0.34 }), /waiting for images 34 %/);
    assert.match(live({ scalars: { loss: NaN } }, 200), /loss not finite/);
  });

  it("is a sentence in a log", () => {
    assert.equal(
      plainLine(view),
      "step 42/1000 (4 %), epoch 1/10, loss 5.235 (dino 4.100, ibot 1.135), 85.04 images/s, 3 min left, 1.2 GB",
    );
  });

  it("draws bars from empty to full", () => {
    assert.deepEqual(
      [0, 0.5, 1, 2, -1].map((share) => bar(share, 4)),
      ["────", "━━──", "━━━━", "━━━━", "────"],
    );
  });

  it("names sizes in powers of 1000", () => {
    assert.deepEqual([0, 999, 1000, 12_345, 999_600, 273.8e6, 1e9, 2.5e12].map(bytes), [
      "0 B",
      "999 B",
      "1.0 kB",
      "12.3 kB",
      "1.0 MB",
      "274 MB",
      "1.0 GB",
      "2.5 TB",
    ]);
  });
});
