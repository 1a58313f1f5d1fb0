import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { withScope } from "../../../../core/scopes.ts";
import type { EngineKind } from "../../../support/engines.ts";
import { f32, loaded, useEngine, valuesOf } from "./setup.ts";

export function describeFirstNonFinite(kind: EngineKind): void {
  describe("firstNonFinite", () => {
    const use = useEngine(kind);

    it("names the op and the plugin's hook of a bad value, again and again, and nothing for good ones", async () => {
      const { engine } = use;
      const program = await engine.program("step", (tracer) => {
        const x = tracer.input("x", [2], "float32");
        const scaled = withScope("some-views/augment", () => tf.mul(x, 2));
        const logs = withScope("some-loss/loss", () => tf.log(scaled));
        tracer.output(
          "y",
          withScope("other/loss", () => tf.sum(tf.exp(logs))),
        );
      });
      const bad = { op: "Log", scope: "some-loss/loss", gradientOf: undefined };
      assert.deepEqual(await engine.firstNonFinite(program, { x: f32(1, -1) }), bad);
      assert.equal(await engine.firstNonFinite(program, { x: f32(1, 2) }), undefined);
      assert.deepEqual(await engine.firstNonFinite(program, { x: f32(0, 1) }), bad);
    });

    it("names the forward op's scope for a bad value in its gradient", async () => {
      const { engine } = use;
      const program = await engine.program("step", (tracer) => {
        const x = tracer.input("x", [2], "float32");
        const loss = (x: tf.Tensor) => {
          const roots = withScope("some-loss/loss", () => tf.sqrt(x));
          return withScope("other/loss", () => tf.sum(roots));
        };
        tracer.output("gradient", tf.grad(loss)(x));
      });
      // d sqrt(x) = dy / (2 sqrt(x)) is infinite at 0; the value is not.
      const found = await engine.firstNonFinite(program, { x: f32(1, 0) });
      assert.deepEqual(found, { op: "RealDiv", scope: "some-loss/loss", gradientOf: "Sqrt" });
      assert.equal(await engine.firstNonFinite(program, { x: f32(1, 2) }), undefined);
    });

    it("writes nothing, inside gates and outside", async () => {
      const { engine } = use;
      const [gated, open] = [await loaded(engine, "gated", 1), await loaded(engine, "open", 1)];
      const program = await engine.program("step", (tracer) => {
        const x = tracer.input("x", [], "float32");
        tracer.assign(open, x);
        tracer.when(tf.isFinite(x), () => {
          tracer.assign(gated, tf.mul(tracer.input("rate", [], "float32"), x));
        });
        tracer.output("y", tf.log(tracer.updated(open)));
      });
      const feeds = { x: f32(-1), rate: f32(2) };
      assert.equal((await engine.firstNonFinite(program, { ...feeds, x: f32(3) }))?.op, undefined);
      assert.deepEqual([await valuesOf(engine, gated), await valuesOf(engine, open)], [[1], [1]]);
      await program.run(feeds);
      assert.deepEqual([await valuesOf(engine, gated), await valuesOf(engine, open)], [[-2], [-1]]);
    });
  });
}
