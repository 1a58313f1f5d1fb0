import assert from "node:assert/strict";
import { join } from "node:path";
import { evalWeights } from "../../cli/eval-weights.ts";
import { Terminal } from "../../cli/terminal.ts";
import type { EvalResult } from "../../core/eval/card.ts";
import { coded } from "../core/trainer/tiny.ts";
import { pictureFolder } from "../core/trainer/runs.ts";
import { fixturePath } from "../core/weights/fixtures.ts";

describe("relata eval --weights", () => {
  const base = pictureFolder();
  const terminal = new Terminal({ write: () => undefined }, {});
  const context = { terminal, argv: [], exitCode: 0 };
  const weights = fixturePath("dino.pth");
  const set = ["train.engine=eager", "train.backend=cpu", "backbone.numHeads=2"];

  it("evaluates a file on the images of --data, with what --set says, and tells what it was of", async () => {
    const shown: { heading: readonly string[]; results: readonly EvalResult[]; about: object }[] = [];
    const options = { data: join(base(), "images"), limit: 8, set };
    await evalWeights(context, weights, ["knn"], options, (heading, results, about) =>
      shown.push({ heading, results, about }),
    );
    const [{ heading, results, about }] = shown as [(typeof shown)[0]];
    assert.equal(heading[0], "teacher of dino.pth");
    assert.match(heading[1]!, /30 weights: 2 blocks 16 wide with 2 heads, patches of 4 px, images of 16 px/);
    assert.match(heading[2]!, /not used: teacher.head.mlp.0.weight, teacher.head.mlp.0.bias/);
    assert.deepEqual(about, { weights });
    const [{ card, figures }] = results as [EvalResult];
    assert.deepEqual([card.network, card.n], ["teacher of dino.pth", 8]);
    assert.deepEqual(
      figures[0]!.baselines.map(({ name }) => name),
      ["raw pixels", "untrained backbone"],
    );
  });

  it("wants images, and no more of a config than there is without training", async () => {
    const refused = (options: object, ...expected: readonly [string, ...string[]]) =>
      assert.rejects(
        evalWeights(context, weights, ["knn"], options, () => assert.fail("evaluated")),
        coded(...expected),
      );
    await refused({ set }, "USAGE", "no images");
    const data = join(base(), "images");
    await refused({ data, set: [...set, "train.epochs=2"] }, "CONFIG_UNKNOWN_KEY", "train.epochs");
  });
});
