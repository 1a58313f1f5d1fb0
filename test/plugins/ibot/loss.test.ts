/** iBOT's masked patch loss against the formula, patch by patch, and by its properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { MaskedPatches } from "../../../core/contexts.ts";
import { Random } from "../../../core/random.ts";
import { maskedRows } from "../../../core/trainer/mask-rows.ts";
import { patchWeights } from "../../../core/math/index.ts";
import { ibotLoss } from "../../../plugins/ibot/loss.ts";
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
