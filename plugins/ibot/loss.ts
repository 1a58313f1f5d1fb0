/** The masked patch loss of iBOT (arXiv 2111.07832, section 3.1). */
import { float32, temperedCrossEntropy, tf, type Tensor1D, type Tensor2D } from "../../core/plugin.ts";

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
