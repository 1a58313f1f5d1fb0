import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Program, Variable } from "../../../../core/engine/engine.ts";
import type { EngineKind } from "../../../support/engines.ts";
import { assertSameBits, f32, loaded, useEngine } from "./setup.ts";

const NAMES = ["weights", "m", "v", "count", "teacher", "copy"] as const;
type Name = (typeof NAMES)[number];

/**
 * A step in small: a loss whose gate closes when it is not finite; inside, an optimizer behind a gate of its
 * own, a teacher that always follows, and a copy behind a third gate.
 */
class SmallStep {
  private readonly engine: Engine;
  private readonly variables: Record<Name, Variable>;
  private readonly program: Program;

  static async create(engine: Engine): Promise<SmallStep> {
    const variables = {
      weights: await loaded(engine, "weights", [0.1, -0.2, 0.3]),
      m: await loaded(engine, "m", [1e-3, -0, 2e-3]),
      v: await loaded(engine, "v", [1e-6, 2e-6, 3e-6]),
      count: await loaded(engine, "count", 7),
      teacher: await loaded(engine, "teacher", [0.5, 0.5, 0.5]),
      copy: await loaded(engine, "copy", [0, 0, 0]),
    };
    const program = await engine.program("step", (tracer) => {
      const { weights, m, v, count, teacher, copy } = variables;
      const x = tracer.input("x", [3], "float32");
      const loss = (w: tf.Tensor) => tf.sum(tf.square(tf.sub(w, tf.log(x))));
      const { value, grad } = tf.valueAndGrad(loss)(tracer.read(weights));
      tracer.output("loss", value);
      const on = (name: string) => tf.greater(tracer.input(name, [], "float32"), 0);
      tracer.when(tf.isFinite(value), () => {
        tracer.when(on("train"), () => {
          const step = tf.add(tracer.read(count), 1) as tf.Scalar;
          const common = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, lr: tf.scalar(0.01) };
          tracer.adam({ variable: weights, m, v, gradient: grad, step, ...common });
          tracer.assign(count, step);
        });
        tracer.blend(teacher, tracer.updated(weights), tf.scalar(0.25));
        tracer.when(on("copy"), () => tracer.assign(copy, tracer.updated(weights)));
      });
      tracer.output("weights", tracer.updated(weights));
    });
    return new SmallStep(engine, variables, program);
  }

  private constructor(engine: Engine, variables: Record<Name, Variable>, program: Program) {
    this.engine = engine;
    this.variables = variables;
    this.program = program;
  }

  async state(): Promise<Record<Name, Float32Array>> {
    const values = await this.engine.save(NAMES.map((name) => this.variables[name]));
    return Object.fromEntries(NAMES.map((name, i) => [name, values[i]!])) as Record<Name, Float32Array>;
  }

  async run(feeds: { x: number; train: number; copy: number }): Promise<Float32Array> {
    const { x, train, copy } = feeds;
    const outputs = await this.program.run({ x: f32(1, x, 2), train: f32(train), copy: f32(copy) });
    const weights = outputs["weights"] as Float32Array;
    assertSameBits(weights, (await this.state()).weights, "what the step gave as the updated weights");
    return weights;
  }
}

function assertOnly(
  moved: readonly Name[],
  before: Record<Name, Float32Array>,
  after: Record<Name, Float32Array>,
) {
  for (const name of NAMES) {
    if (moved.includes(name)) assert.notDeepEqual(after[name], before[name], `${name} has not moved`);
    else assertSameBits(after[name], before[name], `${name} has moved`);
  }
}

export function describeGates(kind: EngineKind): void {
  describe("gates", () => {
    const use = useEngine(kind);

    it("open: everything moves, the teacher toward the new weights", async () => {
      const step = await SmallStep.create(use.engine);
      const before = await step.state();
      const weights = await step.run({ x: 0.5, train: 1, copy: 1 });
      const after = await step.state();
      assertOnly(NAMES, before, after);
      assertSameBits(after.copy, weights);
      after.teacher.forEach((t, i) => {
        const want = 0.75 * before.teacher[i]! + 0.25 * weights[i]!;
        assert.ok(Math.abs(t - want) < 1e-6, `teacher ${t}, expected ${want}`);
      });
    });

    it("closed by a loss that is not finite: nothing moves, bit for bit", async () => {
      const step = await SmallStep.create(use.engine);
      for (const x of [-1, 0, NaN]) {
        const before = await step.state();
        await step.run({ x, train: 1, copy: 1 });
        assertOnly([], before, await step.state());
      }
    });

    it("closed inside an open one: what comes after it still moves, from the values that stayed", async () => {
      const step = await SmallStep.create(use.engine);
      const before = await step.state();
      await step.run({ x: 0.5, train: 0, copy: 1 });
      const after = await step.state();
      assertOnly(["teacher", "copy"], before, after);
      assertSameBits(after.copy, before.weights);
    });

    it("open and close from run to run", async () => {
      const step = await SmallStep.create(use.engine);
      for (const [x, train, copy, moved] of [
        [0.5, 1, 0, ["weights", "m", "v", "count", "teacher"]],
        [-1, 1, 1, []],
        [0.5, 0, 0, ["teacher"]],
        [0.5, 1, 1, NAMES],
      ] as const) {
        const before = await step.state();
        await step.run({ x, train, copy });
        assertOnly(moved, before, await step.state());
      }
    });
  });
}
