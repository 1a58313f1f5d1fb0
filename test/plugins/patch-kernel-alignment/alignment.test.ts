/** Centered kernel alignment against golden values of reference.py, and by its properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { gram } from "../../../core/plugin.ts";
import {
  alignmentLoss,
  centeredFeatures,
  centeredKernel,
  effectiveRank,
  meanOfOverlapping,
} from "../../../plugins/patch-kernel-alignment/alignment.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";
import golden from "./golden.json" with { type: "json" };

const { pairs, points, teacherDim, studentDim } = golden;

/** The features of reference.py, [pairs, points, dim]. */
function features(dim: number, step: number): tf.Tensor3D {
  const values = Array.from({ length: pairs }, (_, p) =>
    Array.from({ length: points }, (_, i) =>
      Array.from({ length: dim }, (_, d) => (1 + p) * (0.4 + Math.sin(1.3 * p + step * i * (d + 1)))),
    ),
  );
  return tf.tensor3d(values);
}

const kernelOf = (x: tf.Tensor) => gram(centeredFeatures(x as tf.Tensor3D));
const targetOf = (x: tf.Tensor) => centeredKernel(kernelOf(x));
const lossOf = (teacher: tf.Tensor, student: tf.Tensor) =>
  alignmentLoss(targetOf(teacher), kernelOf(student));
const expected = (values: readonly number[], ...shape: number[]) => ({
  values: Float32Array.from(values),
  shape,
});
const within = (got: tf.Tensor, want: number, tolerance: number, what: string) =>
  got.dataSync().forEach((value) => assert.ok(Math.abs(value - want) <= tolerance, `${what}: ${value}`));

describe("alignmentLoss", () => {
  useCpuBackend();

  const teacher = () => features(teacherDim, 0.7);
  const student = () => features(studentDim, 1.1);

  it("has the golden values", () => {
    assertClose(lossOf(teacher(), student()), expected(golden.losses, pairs), 2e-6);
  });

  it("has the golden gradients, of kernels and of features", () => {
    const weighted = (losses: tf.Tensor) => tf.sum(tf.mul(losses, golden.weights)) as tf.Scalar;
    const target = targetOf(teacher());
    const ofKernel = tf.grad((kernel) => weighted(alignmentLoss(target, kernel)))(gram(student()));
    assertClose(ofKernel, expected(golden.kernelGradient, pairs, points, points), 1e-5, "of kernels");
    const ofFeatures = tf.grad((x) => weighted(alignmentLoss(target, kernelOf(x))))(student());
    assertClose(ofFeatures, expected(golden.featureGradient, pairs, points, studentDim), 1e-5, "of features");
  });

  it("has the gradient of its differences, for kernels of several heads too", () => {
    const target = centeredKernel(gram(normal("t", [2, 2, 4, 3])));
    const ofHeads = (x: tf.Tensor) => alignmentLoss(target, gram(x));
    const student = normal("s", [2, 2, 4, 5]);
    assert.deepEqual(ofHeads(student).shape, [2, 2]);
    assertGradients(ofHeads, [student]);
  });

  it("is 0 for features that are turned, scaled, moved or put into more dimensions", () => {
    const x = normal<tf.Rank.R3>("x", [1, 6, 4]);
    // Columns of length 1, each orthogonal to the others: [4, 5].
    const turn = tf.linalg.gramSchmidt(normal<tf.Rank.R2>("turn", [4, 5]));
    const turned = tf.reshape(tf.matMul(tf.reshape(x, [6, 4]), turn as tf.Tensor2D), [1, 6, 5]);
    within(lossOf(x, x), 0, 1e-6, "the same");
    within(lossOf(x, turned), 0, 1e-6, "turned");
    for (const scale of [1e-6, 0.3, 1e6])
      within(lossOf(x, tf.mul(turned, scale)), 0, 1e-6, `scaled by ${scale}`);
    within(lossOf(x, tf.add(turned, 10)), 0, 1e-5, "moved");
  });

  it("is between 0 and 1, the same with the sides exchanged, and 1 for unrelated structure", () => {
    const [a, b] = [normal("a", [50, 5, 3]), normal("b", [50, 5, 3])];
    const losses = lossOf(a, b);
    assert.ok(
      losses.dataSync().every((loss) => loss > 0 && loss < 1),
      `${losses.dataSync()}`,
    );
    assertClose(lossOf(b, a), losses, 1e-5);
    // Left against right, and top against bottom, of four points.
    const [sides, heights] = [tf.tensor([1, -1, 1, -1], [1, 4, 1]), tf.tensor([1, 1, -1, -1], [1, 4, 1])];
    within(lossOf(sides, heights), 1, 1e-6, "unrelated");
  });

  it("teaches the student alone", () => {
    // Without the second term tfjs would complain that nothing depends on the teacher.
    const value = (t: tf.Tensor, s: tf.Tensor) => tf.add(tf.sum(lossOf(t, s)), tf.sum(tf.mul(t, 0)));
    const [ofTeacher, ofStudent] = tf.grads((t, s) => value(t!, s!))([teacher(), student()]);
    assert.ok(
      ofTeacher!.dataSync().every((gradient) => gradient === 0),
      "the teacher gets no gradient",
    );
    assert.ok(
      ofStudent!.dataSync().some((gradient) => Math.abs(gradient) > 1e-3),
      "the student does",
    );
  });

  it("comes nearer to 1 the less features differ that differ by less than a hundredth of their length", () => {
    const x = normal("x", [1, 6, 4]);
    const losses = [0.3, 0.03, 0.003, 0.0003].map(
      (part) => lossOf(x, tf.add(1, tf.mul(x, part))).dataSync()[0]!,
    );
    const [far, near, nearer, nearest] = losses as [number, number, number, number];
    assert.ok(far < 1e-5 && near < 1e-5, `others are compared whole: ${losses}`);
    assert.ok(0.5 < nearer && nearer < 0.99 && nearest > 0.99, `${losses}`);
  });

  it("is 1 with a finite gradient for features without structure, and where nothing was sampled", () => {
    const alike = tf.tile(normal("one", [2, 1, 4], 10), [1, 5, 1]);
    const nothing = tf.zeros([2, 5, 4]);
    const some = normal("some", [2, 5, 4]);
    for (const [name, t, s] of [
      ["equal features of the student", some, alike],
      ["equal features of the teacher", alike, some],
      ["equal features of both", alike, alike],
      ["nothing of the student", some, nothing],
      ["nothing of both", nothing, nothing],
    ] as const) {
      within(lossOf(t, s), 1, 1e-2, name);
      const gradient = tf
        .grad((x) => tf.sum(lossOf(t, x)) as tf.Scalar)(s)
        .dataSync();
      assert.ok(
        gradient.every((value) => Math.abs(value) < 1),
        `${name}: gradient ${gradient}`,
      );
    }
    within(lossOf(nothing, nothing), 1, 0, "exactly 1 where nothing was sampled");
  });
});

describe("effectiveRank", () => {
  useCpuBackend();

  const ranksOf = (x: tf.Tensor) => effectiveRank(targetOf(x)).dataSync();
  const near = (got: number, want: number) => assert.ok(Math.abs(got - want) < 1e-4, `${got}, not ${want}`);

  it("has the golden values", () => {
    const ranks = ranksOf(features(teacherDim, 0.7));
    assert.equal(ranks.length, golden.effectiveRanks.length);
    golden.effectiveRanks.forEach((rank, i) => near(ranks[i]!, rank));
  });

  it("is 1 for features along a line, and T - 1 for T features apart from each other alike", () => {
    near(ranksOf(tf.tensor([1, 2, 5, 7], [1, 4, 1]))[0]!, 1);
    near(ranksOf(tf.reshape(tf.eye(4), [1, 4, 4]))[0]!, 3);
  });
});

describe("meanOfOverlapping", () => {
  useCpuBackend();

  const meanOf = (...comparisons: [values: number[], overlaps: number[]][]) =>
    meanOfOverlapping(
      comparisons.map(([values]) => tf.tensor1d(values)),
      comparisons.map(([, overlaps]) => tf.tensor1d(overlaps)),
    ).dataSync()[0];

  it("counts each pair that overlaps alike, and not a comparison in which none does", () => {
    assert.equal(meanOf([[2, 9], [1, 0]], [[4, 6], [1, 1]]), 4); // prettier-ignore
    assert.equal(meanOf([[2, 4], [1, 1]], [[9, 9], [0, 0]]), 3); // prettier-ignore
  });

  it("is 0 where nothing overlaps", () => assert.equal(meanOf([[2, 4], [0, 0]]), 0)); // prettier-ignore
});
