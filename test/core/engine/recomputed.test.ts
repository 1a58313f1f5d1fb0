/** Work that is done again for its gradient, in a captured program. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Tracer } from "../../../core/engine/engine.ts";
import { recomputed } from "../../../core/math/index.ts";
import { makeEngine } from "../../support/engines.ts";
import { recordsOf } from "./contract/setup.ts";

const SIZE = 4;
const feeds = Object.fromEntries(
  ["x", "w1", "w2"].map((name, k) => [
    name,
    Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i + 7 * k)),
  ]),
);

/** sum(tanh(tanh(x w1) w2)), and its gradients to all three. */
function trace(tracer: Tracer, again: boolean): void {
  const inputs = Object.keys(feeds).map((name) => tracer.input(name, [SIZE, SIZE], "float32") as tf.Tensor2D);
  const layer = (x: tf.Tensor, [w]: readonly tf.Tensor[]) =>
    tf.tanh(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D));
  const loss = (x: tf.Tensor, ...weights: tf.Tensor[]) =>
    tf.sum(weights.reduce((x, w) => (again ? recomputed(x, [w], [], layer) : layer(x, [w])), x));
  tf.grads(loss)(inputs).forEach((gradient, i) => tracer.output(`${i}`, gradient));
}

describe("recomputed work", () => {
  for (const kind of ["captured", "compiled", "eager on cpu"] as const) {
    it(`gives the same gradients, ${kind}`, async () => {
      const engine = await makeEngine(kind);
      const [plain, again] = await Promise.all(
        [false, true].map(async (again) =>
          (await engine.program(again ? "again" : "once", (tracer) => trace(tracer, again))).run(feeds),
        ),
      );
      for (const [name, want] of Object.entries(plain!)) {
        want.forEach((value, i) => assert.ok(Math.abs(again![name]![i]! - value) < 1e-6, `${name} at ${i}`));
      }
      engine.close();
    });
  }

  it("waits for the gradient: it is no part of what is kept from the first time", async () => {
    const engine: Engine = await makeEngine("captured");
    const program = await engine.program("again", (tracer) => trace(tracer, true));
    const records = recordsOf(program);
    const count = (op: string) => records.filter((record) => record.op === op).length;
    assert.equal(count("Tanh"), 4, "two layers, twice");
    assert.equal(count("RelataAfter"), 2);
    engine.close();
  });
});
