/** The plugin in a step and in a run: no network but the student, a step's golden values, and what it refuses. */
import assert from "node:assert/strict";
import type { Engine } from "../../../core/engine/engine.ts";
import simclr from "../../../plugins/simclr/index.ts";
import { checkpointOf, pictureFolder, trainTiny } from "../../core/trainer/runs.ts";
import { at, coded, globalViews, localViews, tinyBatch, tinyTraining } from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";
import { readGolden } from "../../support/golden.ts";
import { assertGoldenStep, type GoldenStep } from "../golden-step.ts";

const sizes = { hiddenDim: 16, outDim: 8 };
const views = [globalViews, localViews];
const run = { batchSize: 4, globalBatchSize: 4 };

describe("the simclr plugin", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

  it("asks for the student on global views, and for nothing else", async () => {
    const { declarations, state } = await tinyTraining(engine, [simclr(sizes)], { views, run });
    assert.deepEqual([...declarations.networks.keys()], ["student"]);
    assert.deepEqual([...declarations.passes.keys()], ["student/global"]);
    assert.ok(
      state.variables.every(({ name }) => !name.startsWith("teacher/")),
      "no weights of a teacher",
    );
    const own = declarations.parameters().filter(({ name }) => !name.startsWith("backbone."));
    assert.deepEqual(
      own.map(({ name, shape }) => [name, shape]),
      [
        ["simclr.projector.0.weight", [16, 32]],
        ["simclr.projector.1.weight", [16]],
        ["simclr.projector.1.bias", [16]],
        ["simclr.projector.3.weight", [8, 16]],
        ["simclr.projector.4.weight", [8]],
        ["simclr.projector.4.bias", [8]],
      ],
    );
  });

  it("gives PyTorch's loss, gradients and running statistics of a step", async () => {
    const { step } = readGolden<{ step: GoldenStep }>(import.meta.url, "golden.json");
    await assertGoldenStep(simclr({ hiddenDim: 3, outDim: 5, temperature: 0.5 }), step);
  });

  it("multiplies the loss by its weight, and learns to tell the samples of a batch", async () => {
    const training = await tinyTraining(engine, [simclr({ ...sizes, weight: 1.5 })], { views, run });
    const batch = tinyBatch(training);
    const step = async (i: number) => (await training.step("train", batch, at(i))).scalars;
    const first = await step(0);
    assert.ok(Math.abs(first["loss"]! - 1.5 * first["loss/simclr"]!) < 1e-5);
    let last = first;
    for (let i = 1; i < 20; i++) last = await step(i);
    assert.ok(last["loss/simclr"]! < 0.5 * first["loss/simclr"]!, `${last["loss/simclr"]}`);
    assert.equal(last["metric/simclr.top1"], 1);
  });

  it("refuses one view of a sample, one sample of a batch, and other views than there are", async () => {
    const refused = async (
      given: Parameters<typeof tinyTraining>[2],
      options: Parameters<typeof simclr>[0],
      ...words: [string, ...string[]]
    ) => {
      // prettier-ignore
      const own = await makeEngine("eager on cpu");
      await assert.rejects(tinyTraining(own, [simclr(options)], given), coded(...words));
      own.close();
    };
    const single = [{ ...globalViews, count: 1 }, localViews];
    await refused({ views: single, run }, sizes, "NO_VIEW_PAIRS", '"simclr"', '"global"');
    await refused({ views, run: { batchSize: 1 } }, sizes, "BATCH_TOO_SMALL", '"simclr"', "1 at a time");
    await refused({ views, run }, { ...sizes, globalViews: "large" }, "VIEW_GROUP_MISSING", '"simclr"', '"large"'); // prettier-ignore
  });
});

describe("a run with simclr alone", () => {
  const base = pictureFolder();

  it("trains, saves and evaluates with the student", async () => {
    const train = { engine: "eager", backend: "cpu", batchSize: 5 } as const;
    const given = { base: base(), method: [simclr(sizes)] };
    const { summary, told } = await trainTiny({ ...given, train: { ...train, maxSteps: 4, epochs: 3 } });
    assert.deepEqual([summary.status, summary.step], ["finished", 4]);
    for (const { scalars } of told.steps) {
      assert.ok(Number.isFinite(scalars["loss/simclr"]), "loss");
      assert.ok(scalars["metric/simclr.top1"]! >= 0 && scalars["metric/simclr.top1"]! <= 1, "top1");
    }
    assert.equal(summary.evaluations[0]!.card.network, "student");
    const { tensors } = await checkpointOf(base());
    const networks = new Set(tensors.map(({ name }) => name.slice(0, name.search(/[/.]/))));
    assert.deepEqual([...networks].sort(), ["adam", "student"]);
    const more = { ...train, epochs: 3 };
    const resumed = await trainTiny({ ...given, train: more, options: { resume: true } });
    assert.deepEqual([resumed.told.starts[0]!.fromStep, resumed.summary.step], [4, 6]);
  });
});
