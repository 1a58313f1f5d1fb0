/** What plugins meet inside the step, and what is refused there. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { BackboneOutput, Pass, SetupContext } from "../../../core/contexts.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import type { Hooks } from "../../../core/hooks.ts";
import { makeEngine } from "../../support/engines.ts";
import {
  at,
  coded,
  distance,
  globalViews,
  learnsOnes,
  localViews,
  outputsOf,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "./tiny.ts";

const ones = { kind: "ones" } as const;

/** A plugin with a student's pass over the global views. */
function onStudent(
  name: string,
  outputs: { cls?: boolean; patches?: boolean; blocks?: number[] },
  apply: (hooks: Hooks, pass: Pass, setup: SetupContext) => void,
) {
  return plugin(name, (hooks) => {
    hooks.setup.tap(name, (setup) => {
      apply(hooks, setup.pass({ network: setup.network("student"), views: "global", outputs }), setup);
    });
  });
}

const largest = (x: tf.Tensor): number => tf.max(tf.abs(x)).dataSync()[0]!;

describe("inside the step", () => {
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
            const cls = output(pass).clsToken!;
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
          hooks.loss.tap(name, (losses, { output }) => losses.add("x", 1, tf.mean(output(pass).clsToken!)));
        });
      const training = await tinyTraining(engine, [same("acme"), same("other")]);
      const { scalars } = await training.step("train", tinyBatch(training), at(0));
      assert.equal(scalars["loss/acme.x"], scalars["loss/other.x"]);
      assert.ok(scalars["loss/acme.x"] !== undefined);
    });
  });

  describe("outputs of a pass", () => {
    const reads: Record<string, (output: BackboneOutput) => unknown> = {
      cls: (output) => output.clsToken,
      patches: (output) => output.patchTokens,
      "block 0": (output) => output.block(0),
      "block -1": (output) => output.block(-1),
    };
    const declared = [
      [{ cls: true }, ["cls"]],
      [{ patches: true }, ["patches"]],
      [{ blocks: [0] }, ["block 0"]],
      [{ cls: true, blocks: [1] }, ["cls", "block -1"]],
    ] as const;
    for (const [outputs, allowed] of declared) {
      it(`of ${JSON.stringify(outputs)}: ${allowed.join(", ")} and nothing else`, async () => {
        for (const [what, read] of Object.entries(reads)) {
          const acme = onStudent(
            "acme",
            { ...outputs, blocks: [...("blocks" in outputs ? outputs.blocks : [])] },
            (hooks, pass) => {
              hooks.loss.tap("acme", (losses, { output }) => {
                losses.add("x", 1, tf.mean(read(output(pass)) as tf.Tensor));
              });
            },
          );
          const own = await makeEngine("eager on cpu");
          const training = await tinyTraining(own, [acme]);
          const step = training.step("train", tinyBatch(training), at(0));
          if ((allowed as readonly string[]).includes(what)) assert.equal((await step).finite, true);
          else await assert.rejects(step, coded("OUTPUT_UNDECLARED", '"acme"', "student/global"), what);
          own.close();
        }
      });
    }

    it("have the shapes that the contract states, before and after the final norm", async () => {
      const seen: Record<string, tf.TensorInfo["shape"]> = {};
      const acme = onStudent("acme", { cls: true, patches: true, blocks: [0] }, (hooks, pass) => {
        hooks.loss.tap("acme", (losses, { output }) => {
          const o = output(pass);
          const tokens = { tokens: o.tokens, patchTokens: o.patchTokens, normed: o.patchTokensNormed };
          for (const [name, t] of Object.entries({ ...tokens, cls: o.clsToken!, block: o.block(0) })) {
            seen[name] = t.shape;
          }
          const means = largest(tf.mean(o.patchTokensNormed, 2));
          assert.ok(means < 1e-5, "the norm's weight is 1 and its bias 0 at the start");
          assert.ok(largest(tf.mean(o.patchTokens, 2)) > 1e-4);
          losses.add("x", 1, tf.mean(o.clsToken!));
        });
      });
      const training = await tinyTraining(engine, [acme]);
      await training.step("train", tinyBatch(training), at(0));
      assert.deepEqual(seen, {
        tokens: [4, 5, 32],
        patchTokens: [4, 4, 32],
        normed: [4, 4, 32],
        cls: [4, 32],
        block: [4, 5, 32],
      });
    });

    it("are the same whatever else is asked of the pass", async () => {
      const clsOf = async (outputs: object) => {
        const own = await makeEngine("eager on cpu");
        const acme = onStudent("acme", { cls: true, ...outputs }, (hooks, pass) => {
          hooks.loss.tap("acme", (losses, { output }) => {
            losses.add("x", 1, tf.mean(tf.square(output(pass).clsToken!)));
            losses.metric("x", tf.sum(tf.square(output(pass).clsToken!)));
          });
        });
        const training = await tinyTraining(own, [acme]);
        const outputsOfStep = await outputsOf(training);
        own.close();
        return outputsOfStep;
      };
      const alone = await clsOf({});
      const beside = await clsOf({ patches: true, blocks: [0] });
      assert.ok(distance(alone["metric/acme.x"]!, beside["metric/acme.x"]!) < 1e-3);
      for (const name of Object.keys(alone).filter((n) => n.startsWith("gradient/"))) {
        assert.ok(distance(alone[name]!, beside[name]!) < 1e-6, name);
      }
    });
  });

  describe("the hooks of a pass", () => {
    it("run in the contract's order, other networks first, each pass once however many asked for it", async () => {
      const log: string[] = [];
      const asks = (name: string) =>
        plugin(name, (hooks) => {
          hooks.setup.tap(name, (setup) => {
            const [student, teacher] = [setup.network("student"), setup.network("teacher")];
            for (const views of ["global", "local"])
              setup.pass({ network: student, views, outputs: { cls: true } });
            setup.pass({ network: teacher, views: "global", outputs: { cls: true } });
            hooks.loss.tap(name, () => void log.push(`loss ${name}`));
          });
        });
      const watches = plugin("watches", (hooks, name) => {
        hooks.augment.tap(name, (images, { views }) => (log.push(`augment ${views.group}`), images));
        hooks.embed.tap(name, (x, { pass }) => (log.push(`embed ${pass.key} ${x.shape.join("x")}`), x));
        hooks.tokens.tap(name, (x, { pass }) => (log.push(`tokens ${pass.key} ${x.shape.join("x")}`), x));
        hooks.forward.tap(name, (output, { pass }) => (log.push(`forward ${pass.key}`), output));
        hooks.update.tap(name, () => void log.push("update"));
      });
      const training = await tinyTraining(engine, [asks("one"), asks("two"), watches, learnsOnes], {
        views: [globalViews, localViews],
      });
      await training.step("train", tinyBatch(training), at(0));
      assert.deepEqual(log, [
        "augment global",
        "augment local",
        "embed teacher/global 4x4x32",
        "tokens teacher/global 4x5x32",
        "forward teacher/global",
        "embed student/global 4x4x32",
        "tokens student/global 4x5x32",
        "embed student/local 4x1x32",
        "tokens student/local 4x2x32",
        "forward student/global",
        "forward student/local",
        "loss one",
        "loss two",
        "update",
      ]);
    });

    it("read a variable of the pass's own network, and change what later hooks and losses see", async () => {
      const read: Record<string, number> = {};
      const marks = plugin("marks", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const [student, teacher] = [setup.network("student"), setup.network("teacher")];
          const [own, other] = [student, teacher].map((network) =>
            setup.pass({ network, views: "global", outputs: { cls: true } }),
          );
          const mark = setup.variable("mark", [1], ones);
          hooks.embed.tap(name, (x, { pass, read: readHere }) => {
            read[pass.key] = readHere(mark).dataSync()[0]!;
            return tf.mul(x, 0);
          });
          hooks.loss.tap(name, (losses, { output, read: readThere }) => {
            read["loss"] = readThere(mark).dataSync()[0]!;
            const [mine, others] = [output(own!).clsToken!, output(other!).clsToken!];
            losses.add(name, 1, tf.add(tf.mean(mine), tf.sum(readThere(mark))));
            losses.metric("apart", tf.max(tf.abs(tf.sub(mine, others))));
          });
        });
      });
      const training = await tinyTraining(engine, [marks]);
      const values = await valuesOf(training);
      values.set("teacher/marks.mark", Float32Array.of(5));
      await training.initialize(values);
      const { scalars } = await training.step("train", tinyBatch(training), at(0));
      assert.deepEqual(read, { "teacher/global": 5, "student/global": 1, loss: 1 });
      assert.ok(
        scalars["metric/marks.apart"]! < 1e-6,
        "nothing of the pictures is left after the embed hook",
      );
    });

    it("see a masked pass beside the plain one", async () => {
      const masked: string[] = [];
      const masks = plugin("masks", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const network = setup.network("student");
          const pass = setup.pass({ network, views: "global", masked: true, outputs: { cls: true } });
          hooks.embed.tap(name, (x, { pass: { key, masked: isMasked } }) => {
            if (isMasked) masked.push(key);
            return isMasked ? tf.mul(x, 0) : x;
          });
          hooks.loss.tap(name, (losses, { output }) => losses.add(name, 1, tf.mean(output(pass).clsToken!)));
        });
      });
      const training = await tinyTraining(engine, [masks, learnsOnes]);
      const { scalars } = await training.step("train", tinyBatch(training), at(0));
      assert.deepEqual(masked, ["student/global/masked"]);
      const alone = await makeEngine("eager on cpu");
      const plain = await tinyTraining(alone, [learnsOnes]);
      const { scalars: without } = await plain.step("train", tinyBatch(plain), at(0));
      assert.ok(Math.abs(scalars["loss/ones"]! - without["loss/ones"]!) < 1e-6);
      alone.close();
    });

    it("let a wrapped output through to the loss", async () => {
      const wraps = plugin("wraps", (hooks, name) => {
        hooks.forward.tap(
          name,
          (output) =>
            new Proxy(output, {
              get: (o, key) =>
                key === "clsToken" ? tf.add(tf.mul(o.clsToken!, 0), 1) : Reflect.get(o, key, o),
            }),
        );
      });
      const training = await tinyTraining(engine, [learnsOnes, wraps]);
      const { scalars } = await training.step("train", tinyBatch(training), at(0));
      assert.equal(scalars["loss/ones"], 0);
    });
  });

  describe("pixels and augmentation", () => {
    it("gives augment 0..1, and everyone else the normalised result, augmented once", async () => {
      const calls: string[] = [];
      const dims = plugin("dims", (hooks, name) => {
        hooks.augment.tap(name, (images, { views }) => {
          calls.push(views.group);
          assert.ok(tf.min(images).dataSync()[0]! >= 0 && tf.max(images).dataSync()[0]! <= 1);
          assert.ok(tf.max(images).dataSync()[0]! > 0.9);
          return tf.mul(images, 0.5);
        });
        hooks.loss.tap(name, (losses, { pixels }) =>
          losses.metric("first", tf.sum(tf.slice(pixels("global"), [0, 0, 0, 0], [1, 1, 1, 1]))),
        );
      });
      const training = await tinyTraining(engine, [learnsOnes, dims]);
      const batch = tinyBatch(training);
      const { scalars } = await training.step("train", batch, at(0));
      const byte = batch.pixels.get("global")![0]!;
      assert.ok(Math.abs(scalars["metric/dims.first"]! - ((byte / 255) * 0.5 - 0.5) / 0.25) < 1e-6);
      assert.deepEqual(calls, ["global"]);
    });

    it("refuses an augmentation that changes the shape", async () => {
      const shrinks = plugin("shrinks", (hooks, name) => {
        hooks.augment.tap(name, (images) => tf.slice(images, [0, 0, 0, 0], [4, 8, 16, 3]));
      });
      const training = await tinyTraining(engine, [learnsOnes, shrinks]);
      await assert.rejects(
        training.step("train", tinyBatch(training), at(0)),
        coded("AUGMENT_SHAPE", '"global"', "[4, 8, 16, 3]", "[4, 16, 16, 3]", "shrinks"),
      );
    });

    it("gives labels and crop rectangles", async () => {
      let rects: Iterable<number> = [];
      let labels: Iterable<number> = [];
      const reads = plugin("reads", (hooks, name) => {
        hooks.loss.tap(name, (_, step) => {
          rects = step.rects("global").dataSync();
          labels = step.labels.dataSync();
          assert.throws(() => step.rects("huge"), coded("VIEW_GROUP_MISSING", '"reads"'));
        });
      });
      const training = await tinyTraining(engine, [learnsOnes, reads]);
      const batch = { ...tinyBatch(training), labels: Int32Array.of(3, -1) };
      await training.step("train", batch, at(0));
      assert.deepEqual([...rects], [...batch.rects.get("global")!]);
      assert.deepEqual([...labels], [3, -1]);
    });
  });

  describe("shared and declared values", () => {
    it("computes `once` once a step for all plugins and hooks", async () => {
      let computed = 0;
      const shares = (name: string) =>
        plugin(name, (hooks) => {
          const shared = (step: { once: <T extends tf.Tensor>(key: string, compute: () => T) => T }) =>
            step.once("shared", () => {
              computed++;
              return tf.scalar(4);
            });
          hooks.loss.tap(name, (losses, step) => losses.metric("x", shared(step)));
          hooks.update.tap(name, (step) => void shared(step));
        });
      const training = await tinyTraining(engine, [learnsOnes, shares("one"), shares("two")]);
      for (const step of [0, 1]) {
        const { scalars } = await training.step("train", tinyBatch(training), at(step));
        assert.equal(scalars["metric/two.x"], 4);
      }
      assert.equal(computed, 2);
    });

    it("feeds schedules and inputs of the step at hand, and draws no input that nobody reads", async () => {
      const sampled: string[] = [];
      const feeds = plugin("feeds", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const schedule = setup.schedule("epoch", ({ epoch }) => epoch);
          const sample = (what: string) => (context: { step: number }) => {
            sampled.push(`${what} ${context.step}`);
            return Float32Array.of(context.step, 1);
          };
          const used = setup.input("used", { shape: [2], sample: sample("used") });
          setup.input("unused", { shape: [2], sample: sample("unused") });
          const indices = setup.input("indices", {
            shape: [setup.run.batchSize],
            dtype: "int32",
            sample: (context) => context.indices,
          });
          const drawn = setup.input("drawn", {
            shape: [2],
            sample: ({ random }) => Float32Array.of(random(0).uniform(), random(1).uniform()),
          });
          hooks.loss.tap(name, (losses, { value }) => {
            losses.metric("epoch", value(schedule));
            losses.metric("used", tf.sum(value(used)));
            losses.metric("indices", tf.sum(value(indices)));
            losses.metric("drawn", tf.sum(value(drawn)));
          });
        });
      });
      const training = await tinyTraining(engine, [learnsOnes, feeds]);
      const steps = [];
      for (const step of [0, 2, 2]) {
        const { scalars } = await training.step("train", tinyBatch(training, 1), at(step));
        steps.push(["epoch", "used", "indices"].map((key) => scalars[`metric/feeds.${key}`]));
        steps.at(-1)!.push(scalars["metric/feeds.drawn"]);
      }
      const draws = steps.map((values) => values.pop()!);
      assert.deepEqual(steps, [
        [0, 1, 21],
        [Math.fround(0.4), 3, 21],
        [Math.fround(0.4), 3, 21],
      ]);
      assert.equal(draws[1], draws[2]);
      assert.notEqual(draws[0], draws[1]);
      assert.deepEqual(sampled, ["used 0", "used 2", "used 2"]);
    });

    it("refuses a sampler that gives too few values", async () => {
      const short = onStudent("short", { cls: true }, (hooks, _, setup) => {
        const input = setup.input("x", { shape: [3], sample: () => new Float32Array(2) });
        hooks.loss.tap("short", (losses, { value }) => losses.metric("x", tf.sum(value(input))));
      });
      const training = await tinyTraining(engine, [learnsOnes, short]);
      await assert.rejects(
        training.step("train", tinyBatch(training), at(0)),
        coded("PROGRAM_FEED", '"short.x"', "3 of Float32Array", "2 of Float32Array"),
      );
    });

    for (const what of ["schedule", "input", "phase"] as const) {
      it(`blames the plugin whose ${what} throws`, async () => {
        const boom = () => {
          throw new Error("boom");
        };
        const throws = onStudent("throws", { cls: true }, (hooks, _, setup) => {
          const value =
            what === "input"
              ? setup.input("x", { shape: [], sample: boom })
              : setup.schedule("y", what === "schedule" ? boom : () => 1);
          if (what === "phase") setup.phase("x", boom);
          hooks.loss.tap("throws", (losses, step) => losses.metric("x", step.value(value)));
        });
        const training = await tinyTraining(engine, [learnsOnes, throws]);
        await assert.rejects(
          training.step("train", tinyBatch(training), at(0)),
          coded("PLUGIN_THREW", '"throws"', `"${what}"`, "boom"),
        );
      });
    }

    it("refuses to read in a network what it has no copy of", async () => {
      const strays = onStudent("strays", { cls: true }, (hooks, _, setup) => {
        const teacher = setup.network("teacher");
        const own = setup.variable("own", [1], ones, { ema: false });
        hooks.loss.tap("strays", (losses, { read }) => losses.metric("x", tf.sum(read(own, teacher))));
      });
      const training = await tinyTraining(engine, [learnsOnes, strays]);
      await assert.rejects(
        training.step("train", tinyBatch(training), at(0)),
        coded("NOT_IN_NETWORK", '"strays"', '"strays.own"', '"teacher"'),
      );
    });
  });

  describe("a probe", () => {
    it("trains its own weights and gives the backbone no gradient, not through relations either", async () => {
      const probe = plugin("probe", (hooks, name) => {
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
              const features = [clsToken!, patchTokens, patchTokensNormed, output(pass).block(0)];
              const meanSquare = (x: tf.Tensor) => tf.mean(tf.square(x));
              const own = features.map((feature) => meanSquare(tf.mul(feature, read(weight))));
              return tf.addN([...own, crossView("own", (_, student) => meanSquare(student))]);
            });
          });
        });
      });
      const gradientsWith = async (plugins: Parameters<typeof tinyTraining>[1]) => {
        const own = await makeEngine("eager on cpu");
        const outputs = await outputsOf(await tinyTraining(own, plugins));
        own.close();
        return new Map(Object.entries(outputs).filter(([name]) => name.startsWith("gradient/")));
      };
      const alone = await gradientsWith([learnsOnes]);
      const beside = await gradientsWith([learnsOnes, probe]);
      assert.ok(distance(beside.get("gradient/probe.weight")!, new Float32Array(32)) > 1e-3);
      for (const [name, values] of alone) assert.ok(distance(beside.get(name)!, values) < 1e-6, name);
      assert.equal(beside.size, alone.size + 1);
    });
  });

  describe("phases", () => {
    it("give each value a program of its own, captured once", async () => {
      const traced: boolean[] = [];
      const late = plugin("late", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const phase = setup.phase("late", (epoch) => epoch >= 1);
          hooks.loss.tap(name, (losses, step) => {
            const isLate = step.phase(phase);
            traced.push(isLate);
            losses.metric("late", tf.scalar(isLate ? 1 : 0));
          });
        });
      });
      const graph = await makeEngine("captured");
      const training = await tinyTraining(graph, [learnsOnes, late]);
      const seen = [];
      for (const step of [0, 4, 5, 9, 0]) {
        assert.equal(training.needsCapture("train", at(step).epoch), step === 5 || seen.length === 0);
        const { scalars } = await training.step("train", tinyBatch(training), at(step));
        seen.push(scalars["metric/late.late"]);
      }
      assert.deepEqual(seen, [0, 0, 1, 1, 0]);
      // Each is traced a second time, to compare.
      assert.deepEqual(traced, [false, false, true, true]);
      graph.close();
    });
  });
});
