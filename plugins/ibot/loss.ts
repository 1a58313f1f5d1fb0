/** The masked patch loss of iBOT (arXiv 2111.07832, section 3.1). */
import {
  constant,
  float32,
  linear,
  stopGradient,
  sumOverRows,
  temperedCrossEntropy,
  tf,
  type Tensor1D,
  type Tensor2D,
} from "../../core/plugin.ts";

/**
 * The student's masked patches predict the teacher's distribution of the same patches, which it sees unmasked, eq. 2:
 *
 *   L = 1 / (V B) sum over views and images of  sum_i m_i H(P_t,i, P_s,i) / max(1, sum_i m_i)
 *
 * @param teacher [M, K] probabilities at the masked patches
 * @param student [M, K] logits there
 * @param weights [M] of `patchWeights`
 * @returns scalar; no gradient to the teacher
 */
export function ibotLoss({
  teacher,
  student,
  weights,
  studentTemp,
}: {
  teacher: Tensor2D;
  student: Tensor2D;
  weights: Tensor1D;
  studentTemp: number;
}): tf.Scalar {
  return float32(() => {
    const losses = temperedCrossEntropy(teacher, student, studentTemp);
    return tf.sum(tf.mul(losses, weights)) as tf.Scalar;
  });
}

/** How the targets of some patches are made: of the teacher's features, or with all patches at once, as they are. */
export interface TeacherRows {
  /** [M, ...] */
  readonly rows: Tensor2D;
  /** [R, ...] of them, and [R] which are used, to [R, K] */
  readonly probabilities: (rows: Tensor2D, used: Tensor1D) => Tensor2D;
}

/** What the loss compares at M masked patches. */
export interface PatchesOfLoss {
  readonly teacher: TeacherRows;
  /** [M, D] features in front of the prototypes */
  readonly student: Tensor2D;
  /** [K, D] of the student */
  readonly prototypes: Tensor2D;
  /** [M] of `masked` */
  readonly used: Tensor1D;
  /** [M] of `patchWeights` */
  readonly weights: Tensor1D;
  readonly studentTemp: number;
}

/**
 * `ibotLoss` with the last layer in it: where [M, K] is too wide, logits and targets exist for some patches at a time.
 *
 * @param chunkValues patches times prototypes at a time; `sumOverRows`' by default
 */
export function ibotLossOfFeatures(
  { teacher, student, prototypes, used, weights, studentTemp }: PatchesOfLoss,
  chunkValues?: number,
): tf.Scalar {
  return sumOverRows(
    {
      x: student,
      rows: [teacher.rows, used, weights],
      weights: [prototypes],
      width: prototypes.shape[0],
    },
    (features, [rows, used, weights], [prototypes]) =>
      ibotLoss({
        teacher: teacher.probabilities(rows, used),
        student: linear(features, prototypes),
        weights,
        studentTemp,
      }),
    chunkValues,
  );
}

/** Patches whose targets are looked at: enough for a mean, few beside those that are learned from. */
const SAMPLE = 64;

/** Targets [S, K] of some of the masked patches, evenly spaced, and how well the student predicts them. */
export function comparedSample({ teacher, student, prototypes, used, studentTemp }: PatchesOfLoss): {
  targets: Tensor2D;
  crossEntropy: tf.Scalar;
  used: Tensor1D;
} {
  const count = used.shape[0];
  const size = Math.min(SAMPLE, count);
  const indices = Int32Array.from({ length: size }, (_, i) => Math.floor((i * count) / size));
  const some = <T extends tf.Tensor>(rows: T): T =>
    size === count ? rows : (tf.gather(rows, constant(indices, [size])) as T);
  return float32(() => {
    const own = some(used);
    const targets = teacher.probabilities(some(teacher.rows), own);
    const logits = linear(stopGradient(some(student)), stopGradient(prototypes));
    const losses = temperedCrossEntropy(targets, logits, studentTemp);
    const mean = tf.div(tf.sum(tf.mul(losses, own)), tf.maximum(tf.sum(own), 1));
    return { targets, crossEntropy: mean as tf.Scalar, used: own };
  });
}
