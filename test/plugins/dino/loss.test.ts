/** DINO's equations: against a plain double loop, by their properties, and against the official code. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { Random } from "../../../core/random.ts";
import { nextCenter, teacherProbabilities } from "../../../core/plugin.ts";
import { dinoLoss } from "../../../plugins/dino/loss.ts";
import { useCpuBackend } from "../../core/math/numeric.ts";
import { fixture } from "../../support/official-fixture.ts";
import { readFixtureJson } from "../../support/safetensors-fixture.ts";

const BATCH = 3;
const K = 5;
const STUDENT_TEMP = 0.1;

/** [views * BATCH, K] */
function logits(key: string, views: number): Float32Array {
  const random = new Random(1, key);
  return Float32Array.from({ length: views * BATCH * K }, () => random.normal());
}

const rowOf = (values: Float32Array, view: number, b: number) => {
  const row = view * BATCH + b;
  return [...values.subarray(row * K, (row + 1) * K)];
};

const logSoftmax = (row: readonly number[]): number[] => {
  const sum = Math.log(row.reduce((total, value) => total + Math.exp(value), 0));
  return row.map((value) => value - sum);
};

/** Eq. 3 as it is written: every teacher view with every other student view, in the order of the views. */
function directly(teacher: Float32Array, globals: number, student: Float32Array, views: number): number {
  let total = 0;
  let pairs = 0;
  for (let q = 0; q < globals; q++) {
    for (let v = 0; v < views; v++) {
      if (v === q) continue;
      pairs++;
      for (let b = 0; b < BATCH; b++) {
        const logP = logSoftmax(rowOf(student, v, b).map((x) => x / STUDENT_TEMP));
        total -= rowOf(teacher, q, b).reduce((sum, p, k) => sum + p * logP[k]!, 0) / BATCH;
      }
    }
  }
  return total / pairs;
}

const tensor = (values: Float32Array): tf.Tensor2D => tf.tensor2d(values, [values.length / K, K]);

function probabilities(views: number): Float32Array {
  const all = teacherProbabilities(tensor(logits("teacher", views)), tf.zeros([1, K]), tf.scalar(0.5));
  return all.dataSync<"float32">();
}

function loss(teacher: Float32Array, student: Float32Array): number {
  const given = {
    teacher: tensor(teacher),
    student: tensor(student),
    batchSize: BATCH,
    studentTemp: STUDENT_TEMP,
  };
  return dinoLoss(given).dataSync()[0]!;
}

describe("DINO's loss", () => {
  useCpuBackend();

  for (const [globals, locals] of [
    [1, 1],
    [1, 4],
    [2, 0],
    [2, 3],
    [3, 0],
    [3, 2],
  ] as const) {
    it(`of ${globals} global and ${locals} local views is the mean over ordered pairs of other views`, () => {
      const teacher = probabilities(globals);
      const student = logits("student", globals + locals);
      const want = directly(teacher, globals, student, globals + locals);
      assert.ok(Math.abs(loss(teacher, student) - want) < 1e-5 * want);
    });
  }

  it("has gradients that are the pairs' and none for the teacher", () => {
    const teacher = probabilities(3);
    const student = logits("student", 4);
    const given = { batchSize: BATCH, studentTemp: STUDENT_TEMP };
    const gradient = tf.grad((x) =>
      dinoLoss({ ...given, teacher: tensor(teacher), student: x as tf.Tensor2D }),
    );
    const got = gradient(tensor(student)).dataSync();
    for (const i of [0, 7, 20, 33, 47, 59]) {
      const shifted = (by: number) => directly(teacher, 3, student.with(i, student[i]! + by), 4);
      const want = (shifted(1e-3) - shifted(-1e-3)) / 2e-3;
      assert.ok(Math.abs(got[i]! - want) < 2e-4, `${i}: ${got[i]}, ${want}`);
    }
    const none = tf.grad((x) => dinoLoss({ ...given, teacher: x as tf.Tensor2D, student: tensor(student) }));
    assert.throws(() => none(tensor(teacher)), /Cannot compute gradient/);
  });

  it("is the entropy of the teacher where all views of a sample are alike and the student is the teacher", () => {
    const one = logits("view", 1);
    const views = Float32Array.from([...one, ...one, ...one]);
    const teacher = teacherProbabilities(
      tensor(views.subarray(0, 2 * BATCH * K)),
      tf.zeros([1, K]),
      tf.scalar(STUDENT_TEMP),
    );
    const p = teacher.dataSync<"float32">();
    const entropy = -p.reduce((sum, value) => sum + value * Math.log(value + 1e-30), 0) / (2 * BATCH);
    assert.ok(Math.abs(loss(p, views) - entropy) < 1e-5);
  });

  it("is log K for a student that cannot tell prototypes apart, whatever the teacher", () => {
    const student = new Float32Array(4 * BATCH * K).fill(3);
    assert.ok(Math.abs(loss(probabilities(2), student) - Math.log(K)) < 1e-6);
  });

  it("is at least log K for a teacher that cannot", () => {
    const uniform = new Float32Array(2 * BATCH * K).fill(1 / K);
    assert.ok(loss(uniform, logits("student", 4)) > Math.log(K));
    assert.ok(Math.abs(loss(uniform, new Float32Array(4 * BATCH * K)) - Math.log(K)) < 1e-6);
  });

  it("is the official loss for the official logits", () => {
    const { config, step } = readFixtureJson<{
      config: { out_dim: number; batch: number; student_temp: number };
      step: { cls: number; teacher_temp: number };
    }>("parity/dino.json");
    const all = (name: string) => {
      const { values, shape } = fixture(name);
      return tf.tensor2d(values, [shape[0]!, config.out_dim]);
    };
    const center = tf.tensor2d(fixture("init/center").values, [1, config.out_dim]);
    const official = dinoLoss({
      teacher: teacherProbabilities(all("dino/act.teacher_all.cls"), center, tf.scalar(step.teacher_temp)),
      student: all("dino/act.student_all.cls"),
      batchSize: config.batch,
      studentTemp: config.student_temp,
    });
    assert.ok(Math.abs(official.dataSync()[0]! - step.cls) < 2e-6 * step.cls);
  });
});

describe("the teacher's distribution", () => {
  useCpuBackend();

  const of = (center: Float32Array, temperature: number) =>
    teacherProbabilities(
      tensor(logits("teacher", 1)),
      tensor(center),
      tf.scalar(temperature),
    ).dataSync<"float32">();

  it("is softmax((g - c) / tau)", () => {
    const center = Float32Array.of(1, 0, -1, 2, 0.5);
    const got = of(center, 0.25);
    for (let b = 0; b < BATCH; b++) {
      const row = rowOf(logits("teacher", 1), 0, b).map((value, k) => (value - center[k]!) / 0.25);
      logSoftmax(row).forEach((value, k) => assert.ok(Math.abs(got[b * K + k]! - Math.exp(value)) < 1e-6));
    }
  });

  it("is the same for a center that is shifted as a whole, sharper for a lower temperature", () => {
    const [zero, shifted] = [of(new Float32Array(K), 0.5), of(new Float32Array(K).fill(2), 0.5)];
    zero.forEach((value, i) => assert.ok(Math.abs(value - shifted[i]!) < 1e-6));
    const peak = (values: Float32Array) => Math.max(...values.subarray(0, K));
    assert.ok(peak(of(new Float32Array(K), 0.05)) > peak(zero));
  });

  it("is centered by a moving average of batch means", () => {
    const next = nextCenter(tf.tensor2d([[1, 2]]), tf.tensor2d([[3, 0]]), 0.75).dataSync();
    assert.deepEqual([...next], [1.5, 1.5]);
  });
});
