import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { Random } from "../../../../core/random.ts";
import type { EngineKind } from "../../../support/engines.ts";
import { f32, loaded, runOnce, useEngine, valuesOf } from "./setup.ts";

const REPEATS = 200;

const rounded = (values: Record<string, number[]>) =>
  Object.fromEntries(
    Object.entries(values).map(([name, list]) => [name, list.map((v) => Math.round(v * 1e4) / 1e4)]),
  );

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

    it("come after reads that they do not depend on", async () => {
      const { engine } = use;
      const names = Array.from({ length: 20 }, (_, i) => `v${i}`);
      const variables = await Promise.all(names.map((name) => loaded(engine, name, 0)));
      const program = await engine.program("exchange", (tracer) => {
        const x = tracer.input("x", [], "float32");
        for (const variable of variables) tracer.assign(variable, x);
        variables.forEach((variable, i) => tracer.output(names[i]!, tf.mul(tracer.read(variable), 1)));
      });
      for (let i = 1; i <= REPEATS; i++) {
        const before = Object.values(await program.run({ x: f32(i) })).map(([value]) => value);
        assert.deepEqual(new Set(before), new Set([i - 1]));
      }
    });

    it("follow one another, reads of what each left in between: assign, blend, Adam", async () => {
      const { engine } = use;
      const v = await loaded(engine, "v", [0, 0]);
      const [m1, m2] = [await loaded(engine, "m1", [0, 0]), await loaded(engine, "m2", [0, 0])];
      const program = await engine.program("sequence", (tracer) => {
        const note = (name: string) => tracer.output(name, tracer.updated(v));
        const [x, gradient] = [tracer.input("x", [2], "float32"), tf.tensor1d([1, -1])];
        for (const moment of [m1, m2]) tracer.assign(moment, tf.zeros([2]));
        tracer.assign(v, tf.mul(x, 10));
        note("assigned");
        tracer.blend(v, tf.zeros([2]), tf.scalar(0.5));
        note("blended");
        const common = { lr: tf.scalar(0.5), weightDecay: tf.scalar(0.2), step: tf.scalar(1) };
        tracer.adam({ variable: v, m: m1, v: m2, gradient, ...common, beta1: 0.9, beta2: 0.999, epsilon: 0 });
        note("optimized");
        tracer.when(tf.greater(tf.sum(x), 0), () => {
          tracer.assign(v, tf.neg(tracer.updated(v)));
          note("negated");
        });
        tracer.assign(v, tf.add(tracer.updated(v), 1));
      });
      // Adam decays by 0.5 * 0.2, then goes a first step of 0.5 against the gradient's sign.
      const want = { assigned: [10, 20], blended: [5, 10], optimized: [4, 9.5], negated: [-4, -9.5] };
      for (let i = 0; i < REPEATS; i++) {
        const outputs = await program.run({ x: f32(1, 2) });
        const got = Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, [...values]]));
        assert.deepEqual(rounded(got), want, `run ${i}`);
        assert.deepEqual(rounded({ v: await valuesOf(engine, v) }), { v: [-3, -8.5] }, `run ${i}`);
      }
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
