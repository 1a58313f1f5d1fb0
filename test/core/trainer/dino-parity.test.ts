/** relata's DINO step against the official one (facebookresearch/dino 7c446df, see test/fixtures/README.md). */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import dino from "../../../plugins/dino/index.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { AdamW, clipByNorm } from "../../../core/trainer/optimizer.ts";
import type { Training } from "../../../core/trainer/training.ts";
import {
  assertNear,
  assertWithin,
  compare,
  fixture,
  fixtureBatch,
  fixtureTraining,
  headOptions,
  officialName,
  saved,
  settings,
} from "../../support/official-fixture.ts";
import { engineKinds, makeEngine } from "../../support/engines.ts";
import { readFixtureJson } from "../../support/safetensors-fixture.ts";

const golden = readFixtureJson<{
  config: { epoch: number; it: number };
  step: { cls: number };
  trajectory: { cls: number }[];
}>("parity/dino.json");
const { epoch, it: step } = golden.config;
const batch = fixtureBatch();
const method = [dino(headOptions)];

for (const kind of engineKinds) {
  describe(`the DINO step, ${kind}, against the official code`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    it("has its loss within 2e-5 and its gradients within 1e-4 of each tensor's maximum", async () => {
      const training = await fixtureTraining(engine, method);
      const feeds = training.feeds(batch, { step, epoch });
      const program = await training.program("train", epoch, feeds);
      const outputs = await program.run(feeds);
      assertNear("loss", outputs["loss"]![0]!, golden.step.cls, 2e-5);
      const gradients = Object.entries(outputs).filter(([name]) => name.startsWith("gradient/"));
      assert.equal(gradients.length, training.state.trainable.length);
      for (const [name, values] of gradients) {
        const official = officialName(`x/${name.slice("gradient/".length)}`).slice("x.".length);
        assertWithin(name, values, fixture(`dino/grad.${official}`).values, 1e-4);
      }
    });

    it("moves the center as the official step does, and the teacher after the student", async () => {
      const training = await fixtureTraining(engine, method);
      await training.step("train", batch, { step, epoch });
      const after = await saved(training);
      assertWithin("center", after.get("state/dino.center")!, fixture("dino/after.center").values, 2e-5);
      const { momentum } = momentumAt(training);
      for (const { name } of training.state.variables.filter((v) => v.name.startsWith("teacher/"))) {
        const before = fixture(`init/${officialName(name)}`).values;
        const student = after.get(name.replace("teacher/", "student/"))!;
        const blended = before.map((t, i) => momentum * t + (1 - momentum) * student[i]!);
        const { error, max } = compare(after.get(name)!, blended);
        assert.ok(error <= 1e-6 * Math.max(1, max), `${name}: ${error}`);
      }
    });

    it("clips and updates as the official AdamW, given the official gradients, within 1e-6", async () => {
      const training = await fixtureTraining(engine, method);
      const { lr, weightDecay } = momentumAt(training);
      const optimizer = new AdamW({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decayBiases: false });
      const state: Awaited<ReturnType<Engine["variable"]>>[] = [];
      optimizer.declare(training.state.trainable, (name, shape) => {
        const variable = engine.variable(`check/${name}`, shape);
        state.push(variable);
        return variable;
      });
      await engine.load(state.map((v) => [v, new Float32Array(v.size)] as const));
      const program = await engine.program("optimizer", (tracer) => {
        const gradients = training.state.trainable.map((parameter) => {
          const gradient = tracer.input(parameter.name, parameter.shape, "float32");
          const squaredNorm = tf.sum(tf.square(gradient)) as tf.Scalar;
          return { parameter, gradient: clipByNorm(gradient, squaredNorm, settings.clipGrad) };
        });
        const scalar = (name: string) => tracer.input(name, [], "float32") as tf.Scalar;
        optimizer.apply({
          tracer,
          gradients,
          lr: scalar("lr"),
          weightDecay: scalar("weightDecay"),
          gate: () => tf.scalar(1),
        });
      });
      const official = (name: string) => officialName(`student/${name}`).slice("student.".length);
      const feeds = training.state.trainable.map(
        ({ name }) => [name, fixture(`dino/grad.${official(name)}`).values] as const,
      );
      await program.run({
        ...Object.fromEntries(feeds),
        lr: Float32Array.of(lr),
        weightDecay: Float32Array.of(weightDecay),
      });
      const after = await saved(training);
      for (const { name } of training.state.trainable) {
        const { error } = compare(
          after.get(`student/${name}`)!,
          fixture(`dino/after.student.${official(name)}`).values,
        );
        assert.ok(error <= 1e-6, `${name}: ${error}`);
      }
    });

    it("follows the losses of a float64 reference over six steps within 1e-4", async () => {
      const training = await fixtureTraining(engine, method);
      for (const [i, { cls }] of golden.trajectory.entries()) {
        const at = step + i;
        const outcome = await training.step("train", batch, { step: at, epoch: at / 4 });
        assertNear(`step ${i}`, outcome.scalars["loss"]!, cls, 1e-4);
      }
    });
  });
}

/** The step's schedules. */
function momentumAt(training: Training): { lr: number; weightDecay: number; momentum: number } {
  const at = training.schedulesAt({ step, epoch });
  return { lr: at["core.lr"]!, weightDecay: at["core.weightDecay"]!, momentum: at["core.momentum"]! };
}
