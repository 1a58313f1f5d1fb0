/** What is shared, fed and drawn, and phases. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import { makeEngine } from "../../support/engines.ts";
import { at, coded, learnsOnes, onStudent, plugin, tinyBatch, tinyTraining } from "./tiny.ts";

const ones = { kind: "ones" } as const;

describe("inside the step,", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

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
      const captured: number[] = [];
      for (const step of [0, 4, 5, 9, 0]) {
        const onCapture = () => captured.push(step);
        const { scalars } = await training.step("train", tinyBatch(training), at(step), onCapture);
        seen.push(scalars["metric/late.late"]);
      }
      assert.deepEqual(captured, [0, 5]);
      assert.deepEqual(seen, [0, 0, 1, 1, 0]);
      // Each is traced a second time, to compare.
      assert.deepEqual(traced, [false, false, true, true]);
      graph.close();
    });
  });
});
