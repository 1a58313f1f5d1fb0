/** iBOT's masked patch loss against the formula, patch by patch, and by its properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { MaskedPatches } from "../../../core/contexts.ts";
import { Random } from "../../../core/random.ts";
import { maskedRows } from "../../../core/trainer/mask-rows.ts";
import {
  linear,
  patchWeights,
  teacherProbabilities,
  temperedCrossEntropy,
} from "../../../core/math/index.ts";
import type { Tracer } from "../../../core/engine/engine.ts";
import { comparedSample, ibotLoss, ibotLossOfFeatures } from "../../../plugins/ibot/loss.ts";
import { makeEngine } from "../../support/engines.ts";
import { assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";

const PATCHES = 4;
const K = 5;
const STUDENT_TEMP = 0.1;

/** Of four images one has no mask, and one is masked wholly. */
const cells = [1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1];
const IMAGES = cells.length / PATCHES;

/** As the step gives them; what is left of the capacity is unused. */
function masked(capacity = 7, own: readonly number[] = cells): MaskedPatches {
  const drawn = maskedRows(own, 1, capacity);
  const ofPatches = tf.tensor2d([...own], [own.length / PATCHES, PATCHES]);
  return {
    cells: ofPatches,
    stemCells: ofPatches,
    rows: tf.tensor1d(drawn.map((row) => Math.max(0, row)), "int32"), // prettier-ignore
    used: tf.tensor1d(Float32Array.from(drawn, (row) => Number(row >= 0))),
  };
}

/** [images * patches, K] */
function logits(key: string): number[][] {
  const random = new Random(1, key);
  return Array.from({ length: cells.length }, () => Array.from({ length: K }, () => random.normal()));
}

const logSoftmax = (row: readonly number[]): number[] => {
  const sum = Math.log(row.reduce((total, value) => total + Math.exp(value), 0));
  return row.map((value) => value - sum);
};
const teacherOf = (patch: number) => logSoftmax(logits("teacher")[patch]!).map(Math.exp);

/** Eq. 2 as it is written. */
function directly(student: readonly number[][]): number {
  let total = 0;
  for (let image = 0; image < IMAGES; image++) {
    const patches = Array.from({ length: PATCHES }, (_, i) => image * PATCHES + i).filter((p) => cells[p]);
    const losses = patches.map((patch) => {
      const logP = logSoftmax(student[patch]!.map((value) => value / STUDENT_TEMP));
      return -teacherOf(patch).reduce((sum, p, k) => sum + p * logP[k]!, 0);
    });
    total += losses.reduce((a, b) => a + b, 0) / Math.max(1, patches.length);
  }
  return total / IMAGES;
}

/** The loss of logits at the masked rows. */
function loss(student: readonly number[][], patches = masked()): tf.Scalar {
  const rows = [...patches.rows.dataSync()];
  return ibotLoss({
    teacher: tf.tensor2d(rows.map(teacherOf)),
    student: tf.tensor2d(rows.map((row) => [...student[row]!])),
    weights: patchWeights(patches),
    studentTemp: STUDENT_TEMP,
  });
}

const close = (got: number, want: number) =>
  assert.ok(Math.abs(got - want) <= 1e-5 * Math.abs(want), `${got}, ${want}`);

describe("iBOT's loss", () => {
  useCpuBackend();

  it("is the mean over images of the mean over their masked patches, with 0 for an image without", () => {
    close(loss(logits("student")).dataSync()[0]!, directly(logits("student")));
  });

  it("does not depend on unused rows", () => {
    const want = directly(logits("student"));
    for (const capacity of [8, 12, 16]) close(loss(logits("student"), masked(capacity)).dataSync()[0]!, want);
  });

  it("is 0 without any mask", () => {
    const none = masked(4, new Array<number>(16).fill(0));
    assert.equal(loss(logits("student"), none).dataSync()[0], 0);
  });

  it("is log K for a student that cannot tell prototypes apart, where every image is masked", () => {
    const own = cells.map((cell, i) => (i === 4 ? 1 : cell));
    const student = logits("student").map((row) => row.map(() => 3));
    close(loss(student, masked(8, own)).dataSync()[0]!, Math.log(K));
  });

  it("has the student's gradient, none at unused rows, and none for the teacher", () => {
    const patches = masked(9);
    const teacher = tf.softmax(normal<tf.Rank.R2>("teacher", [9, K]));
    const student = normal<tf.Rank.R2>("student", [9, K], 0.3);
    const weights = patchWeights(patches);
    const of = (teacher: tf.Tensor, student: tf.Tensor) =>
      ibotLoss({
        teacher: teacher as tf.Tensor2D,
        student: student as tf.Tensor2D,
        weights,
        studentTemp: 0.5,
      });
    assertGradients((student) => of(teacher, student!), [student]);
    const gradient = tf
      .grad((student: tf.Tensor) => of(teacher, student))(student)
      .dataSync();
    assert.ok(gradient.subarray(7 * K).every((value) => value === 0));
    assert.ok(gradient.subarray(0, 7 * K).every((value) => value !== 0));
    assert.throws(() => tf.grad((teacher: tf.Tensor) => of(teacher, student))(teacher), /Cannot compute gradient/); // prettier-ignore
  });
});

describe("iBOT's loss of features", () => {
  const [PATCHES, FEATURES, PROTOTYPES] = [10, 4, 6];
  const shapes = {
    student: [PATCHES, FEATURES],
    prototypes: [PROTOTYPES, FEATURES],
    teacher: [PATCHES, FEATURES],
    ofTeacher: [PROTOTYPES, FEATURES],
    center: [1, PROTOTYPES],
  };
  const feeds = Object.fromEntries(
    Object.entries(shapes).map(([name, [rows, columns]]) => {
      const random = new Random(2, name);
      return [name, Float32Array.from({ length: rows! * columns! }, () => random.normal())];
    }),
  );

  /** Loss and gradients; the targets by patch, or all at once. */
  const trace = (rowwise: boolean, chunkPatches: number) => (tracer: Tracer) => {
    const { student, prototypes, teacher, ofTeacher, center } = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, tracer.input(name, shape, "float32")]),
    ) as Record<keyof typeof shapes, tf.Tensor2D>;
    const used = tf.tensor1d([1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    const probabilities = (rows: tf.Tensor2D) =>
      teacherProbabilities(linear(rows, ofTeacher), center, tf.scalar(0.3));
    const loss = (student: tf.Tensor, prototypes: tf.Tensor) =>
      ibotLossOfFeatures(
        {
          teacher: rowwise
            ? { rows: teacher, probabilities }
            : { rows: probabilities(teacher), probabilities: (rows) => rows },
          student: student as tf.Tensor2D,
          prototypes: prototypes as tf.Tensor2D,
          used,
          weights: tf.mul(used, 0.2),
          studentTemp: 0.5,
        },
        chunkPatches * PROTOTYPES,
      );
    const { value, grads } = tf.valueAndGrads(loss)([student, prototypes]);
    Object.entries({ value, student: grads[0]!, prototypes: grads[1]! }).forEach(([name, output]) =>
      tracer.output(name, output),
    );
  };

  for (const [precision, within] of [
    ["fp32", 1e-5],
    ["bf16", 1e-2],
  ] as const) {
    // prettier-ignore
    it(`is the same for some patches at a time as for all, in ${precision}`, async () => {
      const engine = await makeEngine("compiled", precision);
      const outputs = async (rowwise: boolean, chunkPatches: number) =>
        (await engine.program("loss", trace(rowwise, chunkPatches))).run(feeds);
      const want = await outputs(false, PATCHES);
      for (const rowwise of [true, false]) {
        for (const [name, got] of Object.entries(await outputs(rowwise, 3))) {
          const largest = Math.max(...want[name]!.map(Math.abs));
          got.forEach((value, i) =>
            assert.ok(Math.abs(value - want[name]![i]!) <= within * largest, `${name}: ${value}, ${want[name]![i]}`),
          );
        }
      }
      engine.close();
    });
  }
});

describe("comparedSample", () => {
  useCpuBackend();

  const [rows, width] = [100, 3];
  const patches = (used: tf.Tensor1D) => ({
    teacher: {
      rows: tf.softmax(normal<tf.Rank.R2>("teacher", [rows, K])),
      probabilities: (own: tf.Tensor2D) => own,
    },
    student: normal<tf.Rank.R2>("student", [rows, width]),
    prototypes: normal<tf.Rank.R2>("prototypes", [K, width]),
    ...{ used, weights: used, studentTemp: STUDENT_TEMP },
  });

  it("takes 64 of many patches, evenly spaced, and compares those that are used", () => {
    const used = tf.tensor1d(Float32Array.from({ length: rows }, (_, i) => Number(i < 70)));
    const all = patches(used);
    const chosen = tf.tensor1d(
      Array.from({ length: 64 }, (_, i) => Math.floor((i * rows) / 64)),
      "int32",
    );
    const sample = comparedSample(all);
    const expected = tf.gather(all.teacher.rows, chosen);
    assert.deepEqual([...sample.targets.dataSync()], [...expected.dataSync()]);
    const counted = [...sample.used.dataSync()];
    assert.equal(counted.filter((one) => one === 1).length, 45, "of the 70 that are used");
    const losses = temperedCrossEntropy(
      expected,
      linear(tf.gather(all.student, chosen), all.prototypes),
      STUDENT_TEMP,
    ).dataSync();
    const mean = [...losses].slice(0, 45).reduce((a, b) => a + b, 0) / 45;
    assert.ok(Math.abs(sample.crossEntropy.dataSync()[0]! - mean) < 1e-4 * mean);
  });

  it("teaches nothing, and is 0 where no patch is used", () => {
    const used = tf.ones<tf.Rank.R1>([rows]);
    const gradient = tf.grad((student: tf.Tensor) => {
      const sample = comparedSample({ ...patches(used), student: student as tf.Tensor2D });
      return tf.add(sample.crossEntropy, tf.mul(0, tf.sum(student)));
    })(normal("student", [rows, width]));
    assert.ok(gradient.dataSync().every((value) => value === 0));
    const none = comparedSample(patches(tf.zeros([rows])));
    assert.equal(none.crossEntropy.dataSync()[0], 0);
  });
});
