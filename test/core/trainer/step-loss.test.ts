/** Loss terms and probes. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { LossContext, Pass, VariableHandle } from "../../../core/contexts.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import dino from "../../../plugins/dino/index.ts";
import { makeEngine } from "../../support/engines.ts";
import {
  at,
  coded,
  distance,
  learnsOnes,
  onStudent,
  outputsOf,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "./tiny.ts";

const ones = { kind: "ones" } as const;

describe("inside the step,", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

  describe("the loss hook", () => {
    it("sums terms by weight, a number or a schedule, under names with the plugin's", async () => {
      const terms = plugin("terms", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const rising = setup.schedule("rising", ({ step }) => step);
          const one = setup.variable("one", [1], ones);
          hooks.loss.tap(name, (losses, { read }) => {
            losses.add("terms", 10, tf.sum(read(one)));
            losses.add("half", rising, tf.div(tf.sum(read(one)), 2));
            losses.metric("double", tf.mul(tf.sum(read(one)), 2));
          });
        });
      });
      const training = await tinyTraining(engine, [learnsOnes, terms], { settings: { lr: 1e-20, minLr: 0 } });
      for (const step of [0, 3]) {
        const { scalars } = await training.step("train", tinyBatch(training), at(step));
        assert.equal(scalars["loss/terms"], 1);
        assert.equal(scalars["loss/terms.half"], 0.5);
        assert.equal(scalars["metric/terms.double"], 2);
        assert.ok(Math.abs(scalars["loss"]! - (scalars["loss/ones"]! + 10 + step / 2)) < 1e-5);
      }
    });

    for (const [what, add, expected] of [
      ["a second term of one name", [0, 0], coded("LOSS_DUPLICATE", '"acme"', '"acme.x"')],
      ["a term that is no scalar", [1], coded("LOSS_NOT_SCALAR", '"acme"', '"acme.x"', "[3]")],
      ["no term at all", [], coded("NO_LOSS")],
      ["terms that no weight has a part in", [2], coded("LOSS_UNREACHED", "acme.x")],
    ] as const) {
      it(`refuses ${what}`, async () => {
        const acme = onStudent("acme", { cls: true }, (hooks, pass) => {
          hooks.loss.tap("acme", (losses, { output }) => {
            const cls = output(pass).clsToken;
            const values = [tf.mean(cls), tf.reshape(tf.slice(cls, [0, 0], [1, 3]), [3]), tf.scalar(1)];
            for (const i of add) losses.add("x", 1, values[i]!);
          });
        });
        const training = await tinyTraining(engine, [acme]);
        await assert.rejects(training.step("train", tinyBatch(training), at(0)), expected);
      });
    }

    it("takes terms of one name from two plugins", async () => {
      const same = (name: string) =>
        onStudent(name, { cls: true }, (hooks, pass) => {
          hooks.loss.tap(name, (losses, { output }) => losses.add("x", 1, tf.mean(output(pass).clsToken)));
        });
      const training = await tinyTraining(engine, [same("acme"), same("other")]);
      const { scalars } = await training.step("train", tinyBatch(training), at(0));
      assert.equal(scalars["loss/acme.x"], scalars["loss/other.x"]);
      assert.ok(scalars["loss/acme.x"] !== undefined);
    });
  });

  describe("a probe", () => {
    /** Reads all that a pass gives, and a relation; `scale` multiplies its value. */
    const probe = (scale = 1) =>
      plugin("probe", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          setup.network("teacher");
          const pass = setup.pass({
            network: setup.network("student"),
            views: "global",
            outputs: { cls: true, patches: true, blocks: [0] },
          });
          const weight = setup.variable("weight", [32], { kind: "uniform", bound: 1 });
          hooks.relation.tap(name, (relations, { patchTokens }) =>
            relations.addBilinear("own", patchTokens, { axis: "channel" }),
          );
          hooks.loss.tap(name, (losses) => {
            losses.addProbe(name, 1, ({ output, read, crossView }) => {
              const { clsToken, patchTokens, patchTokensNormed } = output(pass);
              const rows: tf.Tensor2D = tf.reshape(patchTokens, [-1, 32]);
              const normed = output(pass).norm(rows);
              const features = [clsToken, patchTokens, patchTokensNormed, normed, output(pass).block(0)];
              const meanSquare = (x: tf.Tensor) => tf.mean(tf.square(x));
              const own = features.map((feature) => meanSquare(tf.mul(feature, read(weight))));
              const relation = crossView("own", (_, student) => meanSquare(student));
              return tf.mul(tf.addN([...own, relation]), scale);
            });
          });
        });
      });
    const outputsWith = async (plugins: Parameters<typeof tinyTraining>[1]) => {
      const own = await makeEngine("eager on cpu");
      const outputs = await outputsOf(await tinyTraining(own, plugins));
      own.close();
      return outputs;
    };

    it("gives the backbone no gradient, not through relations either, and leaves all figures as they are", async () => {
      const alone = await outputsWith([learnsOnes]);
      const { ["loss/probe"]: loss, ["probeGradient/probe.weight"]: gradient, ...rest } = await outputsWith([learnsOnes, probe()]); // prettier-ignore
      assert.ok(loss![0]! > 1, `the probe's loss is ${loss![0]}`);
      assert.ok(distance(gradient!, new Float32Array(32)) > 1e-3, "it has no gradient");
      assert.deepEqual(rest, alone);
      assert.ok("loss" in alone && "gradNorm" in alone, "the figures compared have the loss and the norm");
    });

    it("trains its own weights", async () => {
      const training = await tinyTraining(engine, [learnsOnes, probe()]);
      const losses: number[] = [];
      for (let step = 0; step < 3; step++) {
        const { scalars } = await training.step("train", tinyBatch(training), at(0));
        losses.push(scalars["loss/probe"]!);
      }
      assert.ok(losses[0]! > losses[1]! && losses[1]! > losses[2]!, losses.join(" "));
    });

    it("that is not finite changes nothing", async () => {
      const training = await tinyTraining(engine, [learnsOnes, probe(Infinity)]);
      const before = new Map([...(await valuesOf(training))].map(([name, v]) => [name, v.slice()]));
      const { finite, scalars } = await training.step("train", tinyBatch(training), at(0));
      assert.equal(finite, false);
      assert.ok(Number.isFinite(scalars["loss"]), "the loss is the method's");
      for (const [name, values] of await valuesOf(training)) assert.equal(distance(values, before.get(name)!), 0, name); // prettier-ignore
    });

    /** A probe of one function of the loss hook's context, the probe's and a weight of its own. */
    const probing = (
      value: (probe: LossContext, outer: LossContext, pass: Pass, weight: VariableHandle) => tf.Tensor,
    ) =>
      onStudent("probing", { cls: true, patches: true }, (hooks, pass, setup) => {
        const weight = setup.variable("weight", [4], { kind: "uniform", bound: 1 });
        hooks.loss.tap("probing", (losses, outer) =>
          losses.addProbe("probing", 1, (own) => value(own, outer, pass, weight)),
        );
      });

    it("keeps the gradient of what it makes of tokens before the norm", async () => {
      const pools = probing(({ output, read }, _, pass, weight) => {
        const { patchTokens, norm } = output(pass);
        const weighted = tf.mul(patchTokens, tf.reshape(read(weight), [1, 4, 1]));
        return tf.sum(tf.slice(norm(tf.sum(weighted, 1)), [0, 0], [-1, 3]));
      });
      const outputs = await outputsWith([learnsOnes, pools]);
      assert.ok(distance(outputs["probeGradient/probing.weight"]!, new Float32Array(4)) > 1e-3, "none");
    });

    for (const [what, value, expected] of [
      [
        "reads outputs outside of its context",
        (_, { output }, pass) => tf.mean(output(pass).clsToken),
        coded("PROBE_TEACHES", '"probing"', "the backbone"),
      ],
      [
        "uses another plugin's weights",
        ({ output, apply }, _, pass) => {
          const student = pass.network;
          return tf.mean(apply({ name: "projection" }, student, output(pass).clsToken));
        },
        coded("PROBE_TEACHES", '"probing"', '"projection.mlp.0.weight"', "dino"),
      ],
      [
        "reaches no weight",
        ({ output }, _, pass) => tf.mean(output(pass).clsToken),
        coded("LOSS_UNREACHED", "probing"),
      ],
    ] satisfies [string, Parameters<typeof probing>[0], (error: unknown) => boolean][]) {
      it(`is refused where it ${what}`, async () => {
        const head = { outDim: 8, hiddenDim: 8, bottleneckDim: 4 };
        const training = await tinyTraining(engine, [dino(head), probing(value)]);
        await assert.rejects(training.step("train", tinyBatch(training), at(0)), expected);
      });
    }

    it("is no loss to train on", async () => {
      const training = await tinyTraining(engine, [probe()]);
      await assert.rejects(training.step("train", tinyBatch(training), at(0)), coded("NO_LOSS"));
    });
  });
});
