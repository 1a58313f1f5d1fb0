/** A captured step computes what the same step computes op by op, on TensorFlow and on tfjs's cpu backend. */
import assert from "node:assert/strict";
import type * as tf from "@tensorflow/tfjs-core";
import { engineKinds, makeEngine, type EngineKind } from "../../support/engines.ts";
import { declareWeights, feeds, traceGradients, weightNames } from "./contract/small-block.ts";

const STEPS = 4;
/** Large: the gradient of the keys' bias is 0 but for rounding, which Adam would blow up to a full step. */
const EPSILON = 1e-3;
/** Of each tensor's largest value: float32 sums in another order. */
const GRADIENT_TOLERANCE = 2e-6;
/** Absolute, at a learning rate of 0.01. */
const WEIGHT_TOLERANCE = 1e-5;

interface Trajectory {
  readonly losses: readonly number[];
  /** Of the first step, by weight. */
  readonly gradients: Readonly<Record<string, Float32Array>>;
  /** After the last step, in the order of weightNames. */
  readonly weights: readonly Float32Array[];
}

async function train(kind: EngineKind): Promise<Trajectory> {
  const engine = await makeEngine(kind);
  const weights = await declareWeights(engine);
  const moments = weightNames.map((name) => {
    const { shape } = weights[name];
    return [engine.variable(`${name}/m`, shape), engine.variable(`${name}/v`, shape)] as const;
  });
  await engine.load(moments.flat().map((variable) => [variable, new Float32Array(variable.size)] as const));
  const program = await engine.program("train", (tracer) => {
    const gradients = traceGradients(tracer, weights);
    const scalar = (name: string) => tracer.input(name, [], "float32") as tf.Scalar;
    const common = { lr: scalar("lr"), weightDecay: scalar("decay"), step: scalar("step") };
    weightNames.forEach((name, i) => {
      const [m, v] = moments[i]!;
      const gradient = gradients[name];
      tracer.adam({
        variable: weights[name],
        m,
        v,
        gradient,
        ...common,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: EPSILON,
      });
    });
  });
  const outputs = [];
  for (let step = 1; step <= STEPS; step++) {
    const scalars = { lr: Float32Array.of(0.01), decay: Float32Array.of(0.1), step: Float32Array.of(step) };
    outputs.push((await program.run({ ...feeds, ...scalars })) as Record<string, Float32Array>);
  }
  const saved = await engine.save(weightNames.map((name) => weights[name]));
  engine.close();
  return { losses: outputs.map(({ loss }) => loss![0]!), gradients: outputs[0]!, weights: saved };
}

const largest = (values: Float32Array) => values.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
const difference = (a: Float32Array, b: Float32Array) => largest(a.map((v, i) => v - b[i]!));

describe("a captured training step", () => {
  const trajectories = {} as Record<EngineKind, Trajectory>;
  before(async () => {
    for (const kind of engineKinds) trajectories[kind] = await train(kind);
  });

  for (const kind of engineKinds.slice(1)) {
    it(`has the loss, gradients and weights of the step run ${kind}, over ${STEPS} steps`, () => {
      const [captured, eager] = [trajectories.captured, trajectories[kind]];
      assert.ok(captured.losses.at(-1)! < captured.losses[0]!);
      captured.losses.forEach((loss, i) =>
        assert.ok(Math.abs(loss - eager.losses[i]!) <= 2e-6 * loss, `loss ${i}`),
      );
      weightNames.forEach((name, i) => {
        const [gradient, want] = [captured.gradients[name]!, eager.gradients[name]!];
        assert.ok(largest(want) > 0, `${name} has no gradient`);
        const error = difference(gradient, want) / largest(want);
        assert.ok(error <= GRADIENT_TOLERANCE, `gradient of ${name}: ${error}`);
        const moved = difference(captured.weights[i]!, eager.weights[i]!);
        assert.ok(moved <= WEIGHT_TOLERANCE, `${name}: ${moved}`);
      });
    });
  }
});
