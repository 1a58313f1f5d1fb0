import assert from "node:assert/strict";
import type * as tf from "@tensorflow/tfjs-core";
import { Random } from "../../../../core/random.ts";
import type { EngineKind } from "../../../support/engines.ts";
import { useEngine } from "./setup.ts";

const SIZE = 50;
const STEPS = 5;
/** As float32, which the engine computes with: 1 - 0.999 would differ in the fifth digit. */
const settings = { lr: Math.fround(1e-2), beta1: Math.fround(0.9), beta2: Math.fround(0.999), epsilon: 1e-8 };

interface AdamState {
  weights: number[];
  m: number[];
  v: number[];
}

/** AdamW (arXiv 1711.05101, algorithm 2) in float64. */
function referenceStep(
  { weights, m, v }: AdamState,
  gradient: readonly number[],
  t: number,
  decay: number,
): AdamState {
  const { lr, beta1, beta2, epsilon } = settings;
  const first = m.map((old, i) => beta1 * old + (1 - beta1) * gradient[i]!);
  const second = v.map((old, i) => beta2 * old + (1 - beta2) * gradient[i]! ** 2);
  const next = weights.map((w, i) => {
    const unbiased = first[i]! / (1 - beta1 ** t);
    const root = Math.sqrt(second[i]! / (1 - beta2 ** t));
    return w - lr * decay * w - (lr * unbiased) / (root + epsilon);
  });
  return { weights: next, m: first, v: second };
}

/** Gradients of very different size; the smallest are those for which epsilon's place matters. */
const gradientAt = (step: number) =>
  Array.from({ length: SIZE }, (_, i) =>
    Math.fround(new Random(0, "gradient", step, i).normal() * 10 ** -(i % 9)),
  );

export function describeOptimizer(kind: EngineKind): void {
  describe("AdamW", () => {
    const use = useEngine(kind);

    for (const decay of [0, Math.fround(0.05)]) {
      it(`follows the algorithm in float64 within 1e-6 ${decay ? "with" : "without"} decay`, async () => {
        const { engine } = use;
        const start = Array.from({ length: SIZE }, (_, i) =>
          Math.fround(new Random(0, "weight", i).normal()),
        );
        const [weights, m, v] = ["weights", "m", "v"].map((name) => engine.variable(name, [SIZE]));
        await engine.load([
          [weights!, Float32Array.from(start)],
          [m!, new Float32Array(SIZE)],
          [v!, new Float32Array(SIZE)],
        ]);
        const program = await engine.program("adam", (tracer) => {
          const scalar = (name: string) => tracer.input(name, [], "float32") as tf.Scalar;
          const gradient = tracer.input("gradient", [SIZE], "float32");
          const lr = scalar("lr");
          const common = { variable: weights!, m: m!, v: v!, gradient, lr, step: scalar("step") };
          const { beta1, beta2, epsilon } = settings;
          const weightDecay = decay ? scalar("decay") : undefined;
          tracer.adam({ ...common, weightDecay, beta1, beta2, epsilon });
        });
        let want: AdamState = { weights: start, m: start.map(() => 0), v: start.map(() => 0) };
        for (let step = 1; step <= STEPS; step++) {
          const gradient = gradientAt(step);
          want = referenceStep(want, gradient, step, decay);
          await program.run({
            gradient: Float32Array.from(gradient),
            lr: Float32Array.of(settings.lr),
            step: Float32Array.of(step),
            decay: Float32Array.of(decay),
          });
        }
        const got = await engine.save([weights!, m!, v!]);
        [want.weights, want.m, want.v].forEach((values, k) =>
          values.forEach((value, i) => {
            const error = Math.abs(got[k]![i]! - value);
            const scale = k === 0 ? 1 : Math.abs(value);
            assert.ok(
              error <= 1e-6 * scale + 1e-12,
              `${["weights", "m", "v"][k]}[${i}]: off by ${error} of ${value}`,
            );
          }),
        );
      });
    }
  });
}
