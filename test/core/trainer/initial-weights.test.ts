/** Runs that begin with given weights. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { silentLogger } from "../../../core/logger.ts";
import type { WeightsOrigin } from "../../../core/trainer/initial-weights.ts";
import { openInitialWeights } from "../../../core/trainer/initial-weights.ts";
import { writeSafetensors } from "../../../core/trainer/safetensors.ts";
import { openWeights } from "../../../core/weights/open.ts";
import { fixturePath } from "../weights/fixtures.ts";
import { makeEngine } from "../../support/engines.ts";
import { checkpointOf, pictureFolder, trainTiny, type TinyRun } from "./runs.ts";
import { coded, distance, learnsOnes, plugin, tinyTraining, valuesOf } from "./tiny.ts";

const eager = { engine: "eager", backend: "cpu" } as const;
const numbers = (origin: WeightsOrigin) =>
  origin.networks.map(({ network, from, kept, missing }) => [network, from, kept, missing.length]);

describe("initial weights", () => {
  const base = pictureFolder();
  const run = (options: Partial<TinyRun> & { readonly name: string }) =>
    trainTiny({
      base: base(),
      evaluation: { viewRetrieval: false },
      train: { ...eager, lr: 1e-30, minLr: 0, weightDecay: 0, weightDecayEnd: 0, maxSteps: 1 },
      ...options,
    });

  it("are another run's: student, teacher and heads; figures of the untrained backbone stay random's", async () => {
    await run({ name: "first", seed: 2, train: { ...eager, maxSteps: 2 } });
    const { told: random } = await run({ name: "random" });
    const { told } = await run({
      name: "second",
      options: { init: join(base(), "first/checkpoints/step-00000002.json") },
    });
    const [first, second] = [await checkpointOf(base(), "first"), await checkpointOf(base(), "second")];
    // After a step of no length: what the run began with, the teacher 0.4 % nearer to the student.
    const valuesOf = ({ tensors }: typeof first, name: string) =>
      tensors.find((one) => one.name === name)!.values;
    const students = second.tensors.filter(({ name }) => name.startsWith("student/"));
    let apart = 0;
    for (const { name, values } of students) {
      assert.deepEqual(values, valuesOf(first, name), name);
      const teacher = name.replace("student/", "teacher/");
      apart = Math.max(apart, distance(valuesOf(first, teacher), values));
      assert.ok(
        distance(valuesOf(second, teacher), valuesOf(first, teacher)) < 0.005 * apart + 1e-6,
        teacher,
      );
    }
    assert.ok(apart > 1e-3, "the teacher is another network");
    const { init } = told.starts[0]!;
    assert.deepEqual(
      numbers(init!).map(([network, from, , missing]) => [network, from, missing]),
      [
        ["student", "student", 0],
        ["teacher", "teacher", 0],
      ],
    );
    assert.equal(init!.label, "first after 2 steps");
    const untrained = ({ evaluations }: typeof told) =>
      evaluations[0]!.evaluation.results[0]!.figures[0]!.baselines[1];
    assert.deepEqual(untrained(told), untrained(random));
    assert.equal(random.starts[0]!.init, undefined);
  });

  it("that do not fit at all are refused with the config that does, before anything is trained", async () => {
    const weights = run({ name: "misfit", options: { init: fixturePath("dino.pth") } });
    await assert.rejects(weights, (error: Error & { fix: string }) => {
      assert.ok(
        coded("WEIGHTS_MISMATCH", "backbone.cls_token [1, 1, 16], here [1, 1, 32]")(error),
        error.message,
      );
      assert.match(error.fix, /backbone.arch=vit backbone.embedDim=16 backbone.depth=2 backbone.numHeads=2/);
      return true;
    });
  });
});

describe("initial weights of networks", () => {
  const base = pictureFolder();

  it("are the teacher's where there is only one, also of a network that follows it", async () => {
    const engine = await makeEngine("eager on cpu");
    try {
      const third = plugin("third", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const network = setup.network("gram", { from: "teacher", update: { copyEvery: 5 } });
          setup.pass({ network, views: "global", outputs: { cls: true } });
        });
      });
      const training = await tinyTraining(engine, [learnsOnes, third]);
      const before = await valuesOf(training);
      const own = (name: string) => name.startsWith("student/backbone.");
      const tensors = training.state.variables
        .filter(({ name }) => own(name))
        .map(({ name, shape, size }, i) => ({
          name: name.replace("student/", "teacher."),
          shape,
          values: new Float32Array(size).fill(i + 1),
        }));
      const path = join(base(), "teacher.safetensors");
      await writeSafetensors(path, tensors.slice(1));
      const weights = await openInitialWeights(path, training, { logger: silentLogger });
      assert.deepEqual(await valuesOf(training), before, "not read yet");
      assert.deepEqual(
        numbers(weights.origin),
        ["student", "teacher", "gram"].map((name) => [name, "teacher", tensors.length - 1, 1]),
      );
      await weights.load();
      const after = await valuesOf(training);
      for (const network of ["student", "teacher", "gram"]) {
        tensors.forEach(({ name, values }, i) => {
          const variable = name.replace("teacher.", `${network}/`);
          assert.deepEqual(after.get(variable), i === 0 ? before.get(variable) : values, variable);
        });
      }
      for (const [name, values] of after)
        if (!/^(student|teacher|gram)\//.test(name)) assert.deepEqual(values, before.get(name), name);
    } finally {
      engine.close();
    }
  });

  it("are of a checkpoint's networks, not of its optimizer", async () => {
    const { networks } = await openWeights(fixturePath("dino.pth"));
    assert.deepEqual(
      networks.map(({ role, tensors }) => [role, tensors.length]),
      [
        ["student", 32],
        ["teacher", 32],
      ],
    );
  });
});
