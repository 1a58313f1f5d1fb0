/** The masked patch loss of iBOT (arXiv 2111.07832, section 3.1). */
import {
  float32,
  linear,
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

/**
 * `ibotLoss` with the last layer in it: where [M, K] is too wide, logits and targets exist for some patches at a time.
 *
 * @param student [M, D] features in front of the prototypes
 * @param prototypes [K, D] of the student
 * @param used [M] of `masked`
 * @param chunkValues patches times prototypes at a time; `sumOverRows`' by default
 */
export function ibotLossOfFeatures(
  {
    teacher,
    student,
    prototypes,
    used,
    weights,
    studentTemp,
  }: {
    teacher: TeacherRows;
    student: Tensor2D;
    prototypes: Tensor2D;
    used: Tensor1D;
    weights: Tensor1D;
    studentTemp: number;
  },
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
