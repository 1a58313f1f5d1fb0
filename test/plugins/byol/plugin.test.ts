/** The plugin in a step: its networks and heads, a step's golden values, its teacher, and what it refuses. */
import assert from "node:assert/strict";
import type { Engine } from "../../../core/engine/engine.ts";
import byol from "../../../plugins/byol/index.ts";
import {
  at,
  coded,
  distance,
  globalViews,
  localViews,
  outputsOf,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";
import { readGolden } from "../../support/golden.ts";
import { assertGoldenStep, type GoldenStep } from "../golden-step.ts";

const sizes = { hiddenDim: 16, outDim: 8 };
const views = [globalViews, localViews];
const run = { batchSize: 4, globalBatchSize: 4 };

describe("the byol plugin", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

  it("asks for both networks on global views, a projector of both, and a predictor of the student's", async () => {
    const { declarations, state } = await tinyTraining(engine, [byol(sizes)], { views, run });
    assert.deepEqual([...declarations.networks.keys()], ["student", "teacher"]);
    assert.deepEqual([...declarations.passes.keys()], ["student/global", "teacher/global"]);
    const weights = ["0.weight", "1.weight", "1.bias", "3.weight", "3.bias"];
    const statistics = ["1.running_mean", "1.running_var"];
    const head = (name: string) => [...weights, ...statistics].map((part) => `${name}.${part}`);
    const of = (network: string) =>
      state.variables.map(({ name }) => name).filter((name) => name.startsWith(`${network}/byol.`));
    const both = [...head("student/byol.projector"), ...head("student/byol.predictor")];
    assert.deepEqual(of("student").sort(), both.sort());
    assert.deepEqual(of("teacher").sort(), head("teacher/byol.projector").sort());
  });

  it("gives PyTorch's loss, gradients and running statistics of a step", async () => {
    const { step } = readGolden<{ step: GoldenStep }>(import.meta.url, "golden.json");
    await assertGoldenStep(byol({ hiddenDim: 4, outDim: 3 }), step);
  });

  it("multiplies the loss by its weight, and learns to predict the teacher", async () => {
    const training = await tinyTraining(engine, [byol({ ...sizes, weight: 1.5 })], { views, run });
    const batch = tinyBatch(training);
    const step = async (i: number) => (await training.step("train", batch, at(i))).scalars;
    const first = await step(0);
    assert.ok(Math.abs(first["loss"]! - 1.5 * first["loss/byol"]!) < 1e-5, "the weight");
    let last = first;
    for (let i = 1; i < 20; i++) last = await step(i);
    assert.ok(last["loss/byol"]! < 0.7 * first["loss/byol"]!, `${first["loss/byol"]}, ${last["loss/byol"]}`);
  });

  it("teaches without a gradient to the teacher, which follows by momentum alone", async () => {
    const settings = { momentum: 1, momentumEnd: 1 };
    const training = await tinyTraining(engine, [byol(sizes)], { views, run, settings });
    const before = new Map([...(await valuesOf(training))].map(([name, v]) => [name, v.slice()]));
    const outputs = await outputsOf(training, 10);
    const trained = Object.keys(outputs).filter((name) => name.startsWith("gradient/byol."));
    assert.equal(trained.length, 2 * 5, "one gradient for each of the student's weights");
    for (const [name, values] of await valuesOf(training)) {
      const moved = distance(values, before.get(name)!);
      if (name.includes("running")) assert.ok(moved > 0, `${name} stays`);
      else if (name.startsWith("teacher/")) assert.equal(moved, 0, name);
      else if (name.startsWith("student/byol.") && name.endsWith("weight")) assert.ok(moved > 0, `${name} stays`); // prettier-ignore
    }
  });

  it("refuses one view of a sample, one sample of a batch, and other views than there are", async () => {
    const refused = async (
      given: Parameters<typeof tinyTraining>[2],
      options: Parameters<typeof byol>[0],
      ...words: [string, ...string[]]
    ) => {
      const own = await makeEngine("eager on cpu");
      await assert.rejects(tinyTraining(own, [byol(options)], given), coded(...words));
      own.close();
    };
    const single = [{ ...globalViews, count: 1 }, localViews];
    await refused({ views: single, run }, sizes, "NO_VIEW_PAIRS", '"byol"', '"global"');
    await refused({ views, run: { batchSize: 1 } }, sizes, "BATCH_TOO_SMALL", '"byol"', "1 at a time");
    await refused({ views, run }, { ...sizes, globalViews: "large" }, "VIEW_GROUP_MISSING", '"large"');
  });
});
