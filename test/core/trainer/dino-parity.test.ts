/** relata's DINO step against the official one (facebookresearch/dino 7c446df, see test/fixtures/README.md). */
import assert from "node:assert/strict";
import dino from "../../../plugins/dino/index.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { AdamW } from "../../../core/trainer/optimizer.ts";
import type { Training } from "../../../core/trainer/training.ts";
import {
  assertNear,
  assertOfficialUpdate,
  assertWithin,
  fixture,
  fixtureBatch,
  fixtureTraining,
  headOptions,
  officialName,
  officialParameter,
  saved,
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

// Compiled, the SERE step stands for this one.
for (const kind of engineKinds.filter((kind) => kind !== "compiled")) {
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
        const official = officialParameter(name.slice("gradient/".length));
        assertWithin(name, values, fixture(`dino/grad.${official}`).values, 1e-4);
      }
    });

    it("moves the center as the official step does, and the teacher after the student", async () => {
      const training = await fixtureTraining(engine, method);
      await training.step("train", batch, { step, epoch });
      const after = await saved(training);
      assertWithin("center", after.get("state/dino.center")!, fixture("dino/after.center").values, 2e-5);
      const { momentum } = schedulesAt(training);
      for (const { name } of training.state.variables.filter((v) => v.name.startsWith("teacher/"))) {
        const before = fixture(`init/${officialName(name)}`).values;
        const student = after.get(name.replace("teacher/", "student/"))!;
        const blended = before.map((t, i) => momentum * t + (1 - momentum) * student[i]!);
        assertWithin(name, after.get(name)!, blended, 1e-6);
      }
    });

    it("clips and updates as the official AdamW, given the official gradients, within 1e-6", async () => {
      const training = await fixtureTraining(engine, method);
      const optimizer = new AdamW({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decayBiases: false });
      await assertOfficialUpdate("dino", training, optimizer, schedulesAt(training));
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
function schedulesAt(training: Training): { lr: number; weightDecay: number; momentum: number } {
  const at = training.schedulesAt({ step, epoch });
  return { lr: at["core.lr"]!, weightDecay: at["core.weightDecay"]!, momentum: at["core.momentum"]! };
}
