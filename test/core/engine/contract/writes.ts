import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { Random } from "../../../../core/random.ts";
import type { EngineKind } from "../../../support/engines.ts";
import { f32, loaded, runOnce, useEngine, valuesOf } from "./setup.ts";

const REPEATS = 200;

export function describeWrites(kind: EngineKind): void {
  describe("writes", () => {
    const use = useEngine(kind);

    it("come after all reads of the variable, whatever the body's order", async () => {
      const { engine } = use;
      const size = 48;
      const weights = engine.variable("weights", [size, size]);
      const values = Float32Array.from({ length: size * size }, (_, i) => new Random(0, "w", i).normal());
      await engine.load([[weights, values]]);
      const program = await engine.program("order", (tracer) => {
        const before = tracer.read(weights);
        tracer.output("early", tf.sum(before));
        tracer.assign(weights, tf.neg(before));
        const after = tracer.read(weights);
        // Slow readers: their products would differ if the write came between.
        const product = tf.matMul(
          tf.matMul(after as tf.Tensor2D, after as tf.Tensor2D),
          before as tf.Tensor2D,
        );
        tracer.output("late", tf.sum(after));
        tracer.output("product", tf.sum(product));
        tracer.output("updated", tf.sum(tracer.updated(weights)));
      });
      const first = await program.run({});
      const [sum, product] = [first["early"]![0]!, first["product"]![0]!];
      const far: string[] = [];
      for (let i = 1; i < REPEATS; i++) {
        const sign = i % 2 === 0 ? 1 : -1;
        const got = await program.run({});
        const want = { early: sign * sum, late: sign * sum, product: sign * product, updated: -sign * sum };
        for (const [name, value] of Object.entries(want)) {
          if (Math.abs(got[name]![0]! - value) > 1e-4 * Math.abs(value)) far.push(`run ${i}: ${name}`);
        }
      }
      assert.deepEqual(far, []);
    });

    it("follow one another: assign, blend and Adam each start from the one before", async () => {
      const { engine } = use;
      const v = await loaded(engine, "v", [1, 2]);
      const [m1, m2] = [await loaded(engine, "m1", [0, 0]), await loaded(engine, "m2", [0, 0])];
      const outputs = await runOnce(engine, (tracer) => {
        const note = (name: string) => tracer.output(name, tracer.updated(v));
        tracer.assign(v, tf.mul(tracer.read(v), 10));
        note("assigned");
        tracer.blend(v, tf.tensor1d([0, 0]), tf.scalar(0.5));
        note("blended");
        tracer.adam({
          variable: v,
          m: m1,
          v: m2,
          gradient: tf.tensor1d([1, -1]),
          lr: tf.scalar(0.5),
          weightDecay: tf.scalar(0.2),
          step: tf.scalar(1),
          beta1: 0.9,
          beta2: 0.999,
          epsilon: 0,
        });
        note("optimized");
      });
      assert.deepEqual([...outputs["assigned"]!], [10, 20]);
      assert.deepEqual([...outputs["blended"]!], [5, 10]);
      // Decay by 0.5 * 0.2, then a first step of 0.5 against the gradient's sign.
      const want = [4, 9.5];
      outputs["optimized"]!.forEach((value, i) => assert.ok(Math.abs(value - want[i]!) < 1e-5, `${value}`));
      assert.deepEqual(await valuesOf(engine, v), [...outputs["optimized"]!]);
    });

    it("refuse a value of another shape", async () => {
      const { engine } = use;
      const v = await loaded(engine, "v", [1, 2]);
      const wrong = runOnce(engine, (tracer) => tracer.assign(v, tracer.input("x", [2, 1], "float32")), {
        x: f32(1, 2),
      });
      await assert.rejects(wrong, { code: "ASSIGN_SHAPE", message: /"v" has shape \[2\].*\[2, 1\]/ });
    });
  });
}
