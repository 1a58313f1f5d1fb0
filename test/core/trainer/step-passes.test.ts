/** Pixels, the hooks of a pass, and what a pass gives. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { BackboneOutput } from "../../../core/contexts.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { makeEngine } from "../../support/engines.ts";
import {
  at,
  coded,
  distance,
  globalViews,
  learnsOnes,
  localViews,
  onStudent,
  outputsOf,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "./tiny.ts";

const ones = { kind: "ones" } as const;

const largest = (x: tf.Tensor): number => tf.max(tf.abs(x)).dataSync()[0]!;

describe("inside the step,", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

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
        coded("HOOK_SHAPE", '"augment" of global', "[4, 8, 16, 3]", "[4, 16, 16, 3]", '"shrinks"'),
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
            const [mine, others] = [output(own!).clsToken, output(other!).clsToken];
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

    it("see a pass that is to stay unmasked beside the one that methods share", async () => {
      const masked: string[] = [];
      const masks = plugin("masks", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const network = setup.network("student");
          const plain = setup.pass({ network, views: "global", unmasked: true, outputs: { cls: true } });
          hooks.embed.tap(name, (x, { pass: { key, unmasked } }) => {
            if (!unmasked) masked.push(key);
            return unmasked ? x : tf.mul(x, 0);
          });
          hooks.loss.tap(name, (losses, { output }) =>
            losses.add(name, 1, tf.mean(tf.square(tf.sub(output(plain).clsToken, 1)))),
          );
        });
      });
      const training = await tinyTraining(engine, [masks, learnsOnes]);
      const { scalars } = await training.step("train", tinyBatch(training), at(0));
      assert.deepEqual(masked, ["student/global"]);
      const alone = await makeEngine("eager on cpu");
      const plain = await tinyTraining(alone, [learnsOnes]);
      const { scalars: without } = await plain.step("train", tinyBatch(plain), at(0));
      assert.ok(Math.abs(scalars["loss/masks"]! - without["loss/ones"]!) < 1e-6);
      assert.ok(Math.abs(scalars["loss/ones"]! - without["loss/ones"]!) > 1e-6);
      alone.close();
    });

    it("let a wrapped output through to the loss", async () => {
      const wraps = plugin("wraps", (hooks, name) => {
        hooks.forward.tap(
          name,
          (output) =>
            new Proxy(output, {
              get: (o, key) =>
                key === "clsToken" ? tf.add(tf.mul(o.clsToken, 0), 1) : Reflect.get(o, key, o),
            }),
        );
      });
      const training = await tinyTraining(engine, [learnsOnes, wraps]);
      const { scalars } = await training.step("train", tinyBatch(training), at(0));
      assert.equal(scalars["loss/ones"], 0);
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
          for (const [name, t] of Object.entries({ ...tokens, cls: o.clsToken, block: o.block(0) })) {
            seen[name] = t.shape;
          }
          const means = largest(tf.mean(o.patchTokensNormed, 2));
          assert.ok(means < 1e-5, "the norm's weight is 1 and its bias 0 at the start");
          assert.ok(largest(tf.mean(o.patchTokens, 2)) > 1e-4);
          losses.add("x", 1, tf.mean(o.clsToken));
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
            losses.add("x", 1, tf.mean(tf.square(output(pass).clsToken)));
            losses.metric("x", tf.sum(tf.square(output(pass).clsToken)));
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
});
