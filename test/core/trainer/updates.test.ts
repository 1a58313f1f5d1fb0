/** What a step writes, and in which order: weights, gates, networks that follow, buffers; or nothing at all. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import { makeEngine } from "../../support/engines.ts";
import { at, declares, distance, learnsOnes, plugin, tinyBatch, tinyTraining, valuesOf } from "./tiny.ts";

const ones = { kind: "ones" } as const;
const zeros = { kind: "zeros" } as const;

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`the writes of a step, ${kind}`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    it("makes followers start as copies, and moves, copies and keeps them as they were declared", async () => {
      const follows = declares("follows", (setup) => {
        setup.network("teacher");
        setup.network("snapshot", { from: "student", update: { copyEvery: 3 } });
        setup.network("later", { from: "teacher", update: { copyEvery: 2, fromStep: 1 } });
        setup.network("anchor", { from: "teacher", update: "frozen" });
        setup.network("mirror", { from: "teacher", update: { copyEvery: 1 } });
        setup.network("slow", { from: "teacher", update: "ema" });
      });
      const training = await tinyTraining(engine, [learnsOnes, follows]);
      const initial = await valuesOf(training);
      const name = "backbone.blocks.1.mlp.fc2.weight";
      const start = initial.get(`student/${name}`)!;
      for (const network of ["teacher", "snapshot", "later", "anchor", "mirror", "slow"]) {
        assert.deepEqual(initial.get(`${network}/${name}`), start);
      }

      let before = initial;
      for (let step = 0; step < 5; step++) {
        await training.step("train", tinyBatch(training, step), at(step));
        const after = await valuesOf(training);
        const [was, is] = [before, after].map((v) => (network: string) => v.get(`${network}/${name}`)!);
        const momentum = training.schedulesAt(at(step))["core.momentum"]!;
        const blend = (own: Float32Array, source: Float32Array) =>
          own.map((value, i) => momentum * value + (1 - momentum) * source[i]!);
        assert.ok(distance(is!("student"), was!("student")) > 1e-4);
        assert.ok(distance(is!("teacher"), blend(was!("teacher"), is!("student"))) < 1e-7);
        assert.ok(distance(is!("slow"), blend(was!("slow"), is!("teacher"))) < 1e-7);
        assert.deepEqual(is!("mirror"), is!("teacher"));
        assert.deepEqual(is!("anchor"), start);
        assert.deepEqual(is!("snapshot"), step % 3 === 0 ? is!("student") : was!("snapshot"));
        assert.deepEqual(is!("later"), step % 2 === 1 ? is!("teacher") : was!("later"));
        before = after;
      }
    });

    it("go by no teacher's momentum where no network follows by it", async () => {
      const copies = declares("copies", (setup) => {
        setup.network("snapshot", { from: "student", update: { copyEvery: 3 } });
      });
      const training = await tinyTraining(engine, [learnsOnes, copies]);
      const names = Object.keys(training.schedulesAt(at(0)));
      assert.deepEqual(names, ["core.lr", "core.weightDecay", "core.copy.snapshot"]);
    });

    it("holds back value, moments and count while a gate is closed, and corrects their bias when it opens", async () => {
      // The gradient is constant: with the right count, AdamW moves by the learning rate each time.
      const gated = plugin("gated", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          setup.pass({ network: setup.network("student"), views: "global", outputs: { cls: true } });
          const options = { weightDecay: false };
          const held = setup.variable("held", [3], ones, options);
          const free = setup.variable("free", [3], ones, options);
          setup.gate(
            [held],
            setup.schedule("open", ({ step }) => (step === 2 || step === 3 ? 1 : 0)),
          );
          hooks.loss.tap(name, (losses, { read }) =>
            losses.add(name, 1, tf.sum(tf.add(read(held), read(free)))),
          );
        });
      });
      const training = await tinyTraining(engine, [gated]);
      let before = await valuesOf(training);
      for (let step = 0; step < 5; step++) {
        await training.step("train", tinyBatch(training, step), at(step));
        const after = await valuesOf(training);
        const lr = training.schedulesAt(at(step))["core.lr"]!;
        const moved = (name: string) =>
          before.get(`student/gated.${name}`)!.map((v, i) => v - after.get(`student/gated.${name}`)![i]!);
        assert.ok(distance(moved("free"), [lr, lr, lr]) < 1e-7);
        if (step === 2 || step === 3) {
          assert.ok(distance(moved("held"), [lr, lr, lr]) < 1e-7);
        } else {
          const own = ["student/gated.held", "adam.m/gated.held", "adam.v/gated.held"];
          for (const name of own) assert.deepEqual(after.get(name)!.slice(), before.get(name), name);
        }
        assert.equal(after.get("adam.step/gated.open")![0], [0, 0, 1, 2, 2][step]);
        assert.equal(after.get("adam.step/main")![0], step + 1);
        before = after;
      }
    });

    it("changes nothing when the loss is not finite, and says so", async () => {
      const stumbles = plugin("stumbles", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          setup.network("teacher");
          const sample = ({ step }: { step: number }) => Float32Array.of(step === 1 ? NaN : 1);
          const factor = setup.input("factor", { shape: [], sample });
          const count = setup.buffer("count", [1], zeros);
          const scale = setup.variable("scale", [1], ones);
          hooks.loss.tap(name, (losses, { read, value }) =>
            losses.add(name, 1, tf.mul(tf.sum(tf.square(read(scale))), value(factor))),
          );
          hooks.update.tap(name, ({ read, write }) => write(count, tf.add(read(count), 1)));
        });
      });
      const training = await tinyTraining(engine, [learnsOnes, stumbles]);
      const good = await training.step("train", tinyBatch(training, 0), at(0));
      assert.equal(good.finite, true);
      const before = await valuesOf(training);
      const bad = await training.step("train", tinyBatch(training, 1), at(1));
      assert.equal(bad.finite, false);
      assert.ok(Number.isNaN(bad.scalars["loss/stumbles"]));
      assert.ok(Number.isFinite(bad.scalars["loss/ones"]));
      for (const [name, values] of await valuesOf(training)) assert.deepEqual(values, before.get(name), name);
      const next = await training.step("train", tinyBatch(training, 2), at(2));
      assert.equal(next.finite, true);
      assert.deepEqual([...(await valuesOf(training)).get("state/stumbles.count")!], [2]);
    });

    it("gives a weight that no loss reaches no update, not even decay", async () => {
      const idle = declares("idle", (setup) => {
        setup.variable("weight", [2, 2], ones, { weightDecay: true });
        setup.variable("fixed", [2, 2], ones, { trainable: false });
      });
      const training = await tinyTraining(engine, [learnsOnes, idle]);
      await training.step("train", tinyBatch(training), at(0));
      const after = await valuesOf(training);
      assert.deepEqual([...after.get("student/idle.weight")!], [1, 1, 1, 1]);
      assert.deepEqual([...after.get("student/idle.fixed")!], [1, 1, 1, 1]);
    });

    it("decays what a plugin asks for, by lr * weightDecay", async () => {
      // No gradient to speak of: the loss reaches the weights multiplied by 0.
      const decays = plugin("decays", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const own = [undefined, true, false].flatMap((weightDecay, i) => [
            setup.variable(`bias${i}`, [2], ones, { weightDecay }),
            setup.variable(`weight${i}`, [2, 1], ones, { weightDecay }),
          ]);
          hooks.loss.tap(name, (losses, { read }) => {
            for (const handle of own) losses.add(handle.name, 0, tf.sum(read(handle)));
          });
        });
      });
      const training = await tinyTraining(engine, [learnsOnes, decays]);
      await training.step("train", tinyBatch(training), at(0));
      const after = await valuesOf(training);
      const { "core.lr": lr, "core.weightDecay": weightDecay } = training.schedulesAt(at(0));
      const decayed = Math.fround(1 - lr! * weightDecay!);
      const left = ["bias0", "weight0", "bias1", "weight1", "bias2", "weight2"].map(
        (name) => after.get(`student/decays.${name}`)![0]!,
      );
      assert.ok(distance(left, [1, decayed, decayed, decayed, 1, 1]) < 1e-7, left.join());
    });

    it("updates buffers after the optimizer from what was before it, each network's its own", async () => {
      const counts = plugin("counts", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const teacher = setup.network("teacher");
          const shared = setup.buffer("shared", [2], zeros);
          const own = setup.buffer("own", [1], ones, { perNetwork: true });
          hooks.update.tap(name, ({ read, write }) => {
            write(shared, tf.add(read(shared), 1));
            write(shared, tf.add(read(shared), 10));
            write(own, tf.mul(read(own), 2));
            write(own, tf.mul(read(own, teacher), 3), teacher);
          });
        });
      });
      const training = await tinyTraining(engine, [learnsOnes, counts]);
      for (const step of [0, 1]) await training.step("train", tinyBatch(training, step), at(step));
      const after = await valuesOf(training);
      assert.deepEqual([...after.get("state/counts.shared")!], [20, 20]);
      assert.deepEqual([...after.get("student/counts.own")!], [4]);
      assert.deepEqual([...after.get("teacher/counts.own")!], [9]);
    });
  });
}
