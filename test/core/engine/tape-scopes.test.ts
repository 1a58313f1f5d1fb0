import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { keepTapeScopes } from "../../../core/engine/tape-scopes.ts";
import { float32, isFloat32Island, withGradient } from "../../../core/math/index.ts";
import { currentScope, withScope } from "../../../core/scopes.ts";
import { declareWeights, traceGradients } from "./contract/small-block.ts";
import { recordsOf, useEngine } from "./contract/setup.ts";
import { useCpuBackend } from "../math/numeric.ts";

/** The scope and island that every kernel of `run` is made in. */
function kernels(run: () => void): { kernel: string; scope: string; island: boolean }[] {
  const engine = tf.engine() as unknown as { runKernel: (name: string, ...rest: unknown[]) => unknown };
  const runKernel = engine.runKernel.bind(engine);
  const seen: { kernel: string; scope: string; island: boolean }[] = [];
  engine.runKernel = (kernel, ...rest) => {
    seen.push({ kernel, scope: currentScope(), island: isFloat32Island() });
    return runKernel(kernel, ...rest);
  };
  try {
    run();
  } finally {
    Reflect.deleteProperty(engine, "runKernel");
  }
  return seen;
}

describe("keepTapeScopes", () => {
  useCpuBackend();

  /** sum(square(sin x)) with the sine in one plugin and the square, a float32 island, in another. */
  const loss = (x: tf.Tensor) => {
    const sines = withScope("waves/forward", () => tf.sin(x));
    return tf.sum(withScope("power/loss", () => float32(() => tf.square(sines))));
  };
  const x = () => tf.tensor1d([0.5, 1]);

  it("runs gradients in the scope and island of their forward op", () => {
    const seen = kernels(() => keepTapeScopes(() => tf.grad(loss)(x())));
    const cos = seen.find(({ kernel }) => kernel === "Cos");
    assert.deepEqual(cos, { kernel: "Cos", scope: "waves/forward", island: false });
    // d square = dy * 2 * sin x
    const products = seen.filter(({ kernel, scope }) => kernel === "Multiply" && scope === "power/loss");
    assert.ok(products.length > 0 && products.every(({ island }) => island));
  });

  it("runs gradients of withGradient so too, lazily", () => {
    const twice = (x: tf.Tensor) =>
      withScope("twice/loss", () =>
        withGradient(
          [x],
          () => ({ value: tf.mul(x, 2), saved: [] }),
          (dy) => [tf.neg(dy)],
        ),
      );
    const seen = kernels(() => keepTapeScopes(() => tf.grad((x: tf.Tensor) => tf.sum(twice(x)))(x())));
    assert.deepEqual(
      seen.filter(({ kernel }) => kernel === "Neg"),
      [{ kernel: "Neg", scope: "twice/loss", island: false }],
    );
  });

  it("changes no gradient, and nothing after it has ended, with an error too", () => {
    const [plain, kept] = [tf.grad(loss)(x()), keepTapeScopes(() => tf.grad(loss)(x()))];
    assert.deepEqual(kept.dataSync(), plain.dataSync());
    assert.throws(() => keepTapeScopes(() => assert.fail("a mistake")), /a mistake/);
    const seen = kernels(() => tf.grad(loss)(x()));
    assert.ok(seen.some(({ kernel, scope }) => kernel === "Cos" && scope === "core"));
  });

  it("names the plugin whose op has no gradient", () => {
    const rounded = (x: tf.Tensor) =>
      tf.sum(withScope("power/loss", () => tf.cast(tf.greater(x, 0), "float32")));
    assert.throws(() => keepTapeScopes(() => tf.grad(rounded)(x())), {
      code: "NO_GRADIENT",
      message: /Greater of plugin "power" in power\/loss/,
    });
  });
});

describe("a captured step's ops", () => {
  const use = useEngine("captured");

  it("belong to the hook of their forward op, those of the gradients too", async () => {
    const weights = await declareWeights(use.engine);
    const program = await use.engine.program("gradients", (tracer) => void traceGradients(tracer, weights));
    const byScope = new Map<string, string[]>();
    for (const { scope, op } of recordsOf(program)) byScope.set(scope, [...(byScope.get(scope) ?? []), op]);
    assert.deepEqual([...byScope.keys()].sort(), ["block/attention", "block/mlp", "core", "head/loss"]);
    const count = (scope: string, op: string) => byScope.get(scope)!.filter((other) => other === op).length;
    // Forward and gradients: qkv, proj and two products of attention; fc1 and fc2; the head.
    // A bias's gradient is a product with ones.
    assert.equal(count("block/attention", "MatMul"), 3 * 2 + 2);
    assert.equal(count("block/attention", "BatchMatMulV2"), 2 + 4);
    assert.equal(count("block/mlp", "MatMul"), 3 * 2 + 2);
    assert.equal(count("head/loss", "MatMul"), 3);
    assert.ok(["MatMul", "BatchMatMulV2", "Erf", "Softmax"].every((op) => count("core", op) === 0));
  });
});
