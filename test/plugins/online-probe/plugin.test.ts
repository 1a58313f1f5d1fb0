/** The probe in a step: against golden values, and what it leaves as it is. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import type { BackboneOutput } from "../../../core/contexts.ts";
import type { ViewBatch } from "../../../core/data/pipeline.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { constant } from "../../../core/plugin.ts";
import onlineProbe from "../../../plugins/online-probe/index.ts";
import { checkpointOf, digests, pictureFolder, tinyDino, trainTiny } from "../../core/trainer/runs.ts";
import {
  at,
  coded,
  distance,
  learnsOnes,
  outputsOf,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

type Weights = Readonly<Record<"weight" | "bias", readonly number[]>>;
interface Figures {
  readonly losses: readonly number[];
  readonly accuracies: readonly number[];
}

/** Made by reference.py: figures of three steps, the gradients of the first, and what the weights are after the last. */
const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as {
  readonly cls: Figures & { readonly gradient: Weights; readonly trained: Weights };
  readonly "cls+mean": Figures;
};

const run = { numClasses: 4, batchSize: 4, globalBatchSize: 4 };
const labelled = (batch: ViewBatch, labels: number[]): ViewBatch => ({
  ...batch,
  labels: Int32Array.from(labels),
});

/** Puts the features of reference.py in the place of the backbone's, and learns something else. */
const givesFeatures = plugin("features", (hooks, name) => {
  const filled = (shape: number[], value: (i: number) => number) => {
    const length = shape.reduce((product, size) => product * size, 1);
    return constant(
      Float32Array.from({ length }, (_, i) => value(i)),
      shape,
    );
  };
  hooks.forward.tap(
    name,
    (output) =>
      Object.create(output, {
        clsToken: { value: filled([8, 32], (i) => Math.sin(0.37 * i)) },
        patchTokensNormed: { value: filled([8, 4, 32], (i) => Math.cos(0.11 * i + 0.5)) },
      }) as BackboneOutput,
  );
  hooks.setup.tap(name, (setup) => {
    const other = setup.variable("other", [2], { kind: "ones" });
    hooks.loss.tap(name, (losses, { read }) => losses.add(name, 1, tf.sum(tf.square(read(other)))));
  });
});

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`the online-probe plugin, ${kind}`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    /** Three steps of a run whose own numbers are others. */
    const threeSteps = async (features: "cls" | "cls+mean") => {
      const settings = { lr: 1, weightDecay: 10, clipGrad: 1e-3 };
      const probe = onlineProbe({ features, lr: 0.02, weightDecay: 0.5 });
      const training = await tinyTraining(engine, [givesFeatures, probe], { run, settings });
      const steps: Awaited<ReturnType<typeof outputsOf>>[] = [];
      for (const step of [0, 1, 2])
        steps.push(await outputsOf(training, step, labelled(tinyBatch(training, step), [2, 0, -1, 2])));
      const figures = (name: string) => steps.map((outputs) => outputs[name]![0]!);
      assert.ok(distance(figures("loss/online-probe"), golden[features].losses) < 1e-6, "losses");
      const accuracies = figures("metric/online-probe.accuracy");
      assert.ok(distance(accuracies, golden[features].accuracies) < 1e-6, "accuracies");
      return { first: steps[0]!, trained: await valuesOf(training) };
    };

    it("has the golden values: losses, accuracies, gradients, and weights after three steps", async () => {
      const { first, trained } = await threeSteps("cls");
      const want = golden.cls;
      for (const name of ["weight", "bias"] as const) {
        const gradient = first[`probeGradient/online-probe.${name}`]!;
        assert.ok(distance(gradient, want.gradient[name]) < 1e-6, `the gradient of ${name}`);
        const apart = distance(trained.get(`student/online-probe.${name}`)!, want.trained[name]);
        assert.ok(apart < 1e-6, `${name} is off by ${apart}`);
      }
    });

    it("has the golden values with the mean patch token too", () => threeSteps("cls+mean"));

    for (const [features, tolerance] of [
      ["cls", 0],
      // Captured, the last block has other shapes where its patch tokens are read, and is rounded differently.
      ["cls+mean", kind === "captured" ? 1e-4 : 0],
    ] as const) {
      it(`changes no other figure with ${features}, and gives the backbone no gradient`, async () => {
        const alone = await outputsOf(await tinyTraining(engine, [learnsOnes], { run }));
        const other = await makeEngine(kind);
        const beside = await outputsOf(await tinyTraining(other, [learnsOnes, onlineProbe({ features })], { run })); // prettier-ignore
        const added = Object.keys(beside).filter((name) => !(name in alone));
        assert.deepEqual(added.sort(), [
          "loss/online-probe",
          "metric/online-probe.accuracy",
          "probeGradient/online-probe.bias",
          "probeGradient/online-probe.weight",
        ]);
        for (const [name, values] of Object.entries(alone)) {
          const largest = distance(values, new Float32Array(values.length));
          const apart = distance(beside[name]!, values);
          assert.ok(apart <= tolerance * largest, `${name} differs by ${apart}, of ${largest}`);
        }
        other.close();
      });
    }

    it("learns nothing from a batch without labels", async () => {
      const training = await tinyTraining(engine, [learnsOnes, onlineProbe()], { run });
      const batch = labelled(tinyBatch(training), [-1, -1, -1, -1]);
      const { finite, scalars } = await training.step("train", batch, at(0));
      assert.deepEqual([finite, scalars["loss/online-probe"], scalars["metric/online-probe.accuracy"]], [true, 0, 0]); // prettier-ignore
      const weight = (await valuesOf(training)).get("student/online-probe.weight")!;
      assert.ok(weight.every((value) => value === 0), "its weights move"); // prettier-ignore
    });
  });
}

describe("the online-probe plugin", () => {
  it("refuses images without labels", async () => {
    const engine = await makeEngine("eager on cpu");
    const training = tinyTraining(engine, [learnsOnes, onlineProbe()]);
    await assert.rejects(training, coded("LABELS_MISSING", '"online-probe"'));
    engine.close();
  });

  for (const network of ["student", "teacher"] as const) {
    it(`tells the samples of a batch apart after a while by the ${network}'s features`, async () => {
      const engine = await makeEngine("captured");
      const training = await tinyTraining(engine, [learnsOnes, onlineProbe({ network, lr: 0.02 })], {
        run,
        settings: { lr: 1e-9, minLr: 0 },
      });
      const batch = labelled(tinyBatch(training), [2, 0, 1, 3]);
      for (let step = 0; step < 40; step++) await training.step("train", batch, at(0));
      const { scalars } = await training.step("train", batch, at(0));
      assert.equal(scalars["metric/online-probe.accuracy"], 1);
      assert.ok(scalars["loss/online-probe"]! < 0.5, `a loss of ${scalars["loss/online-probe"]}`);
      const names = [...(await valuesOf(training)).keys()];
      assert.equal(names.includes("teacher/backbone.norm.weight"), network === "teacher");
      assert.ok(!names.includes("teacher/online-probe.weight"), "the classifier has a twin");
      engine.close();
    });
  }

  describe("in a run", () => {
    const base = pictureFolder();
    const method = [tinyDino, onlineProbe({ network: "teacher", lr: 0.01 })];

    it("has class folders as labels, logs its accuracy, and goes on as if it had not stopped", async () => {
      const train = { epochs: 3, batchSize: 5, engine: "eager", backend: "cpu" } as const;
      const whole = await trainTiny({ base: base(), name: "whole", method, train });
      const figures = whole.told.steps.map(({ scalars }) => scalars["metric/online-probe.accuracy"]!);
      assert.equal(figures.length, 6);
      const shares = [0, 0.2, 0.4, 0.6, 0.8, 1];
      assert.ok(figures.every((value) => shares.some((share) => Math.abs(share - value) < 1e-6)), figures.join()); // prettier-ignore
      const losses = whole.told.steps.map(({ scalars }) => scalars["loss/online-probe"]!);
      assert.ok(Math.abs(losses[0]! - Math.log(2)) < 1e-6 && losses.at(-1)! !== losses[0]!, losses.join());
      const loss = whole.told.steps[0]!.scalars;
      assert.equal(loss["loss"], loss["loss/dino"]);

      await trainTiny({ base: base(), name: "parts", method, train: { ...train, maxSteps: 3 } });
      await trainTiny({ base: base(), name: "parts", method, train, options: { resume: true } });
      const [wanted, got] = [await checkpointOf(base(), "whole"), await checkpointOf(base(), "parts")];
      const state = "online-probe.classifier/adam.m/online-probe.weight";
      assert.ok(wanted.tensors.some(({ name }) => name === state), "its optimizer's state is not saved"); // prettier-ignore
      assert.deepEqual(digests(got), digests(wanted));
    });
  });
});
