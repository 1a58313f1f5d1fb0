/** The equations of DINO (arXiv 2104.14294, section 3.1) over a batch of views. */
import { constant, float32, temperedCrossEntropy, tf, type Tensor2D } from "../../core/plugin.ts";

/**
 * Cross-entropy of every student view with every teacher view but its own, eq. 3, each ordered pair with the
 * same weight and the mean over the batch:
 *
 *   L = 1 / (G (V - 1)) sum_{q < G} sum_{v < V, v != q} mean_b H(P_t(q, b), P_s(v, b))
 *
 * H is linear in the teacher's side, so each student view is compared once, with the mean of its teachers.
 *
 * @param teacher [G * B, K] probabilities of the G global views, view-major
 * @param student [V * B, K] logits of all V views, the global ones first
 * @returns scalar; no gradient to the teacher
 */
export function dinoLoss({
  teacher,
  student,
  batchSize,
  studentTemp,
}: {
  teacher: Tensor2D;
  student: Tensor2D;
  batchSize: number;
  studentTemp: number;
}): tf.Scalar {
  return float32(() => {
    const globals = teacher.shape[0] / batchSize;
    const views = student.shape[0] / batchSize;
    const targets = tf.split(teacher, globals) as Tensor2D[];
    const meanOf = (some: Tensor2D[]) => tf.div(tf.addN(some), some.length) as Tensor2D;
    const ofGlobal = targets.map((_, v) =>
      globals > 1 ? meanOf(targets.filter((_, q) => q !== v)) : targets[0]!,
    );
    const ofLocal = meanOf(targets);
    const labels = Array.from({ length: views }, (_, v) => ofGlobal[v] ?? ofLocal);
    const pairs = globals * (views - 1);
    const weights = Float32Array.from({ length: views * batchSize }, (_, row) => {
      const teachers = row < globals * batchSize ? globals - 1 : globals;
      return teachers / (pairs * batchSize);
    });
    const losses = temperedCrossEntropy(tf.concat(labels), student, studentTemp);
    return tf.sum(tf.mul(losses, constant(weights, [weights.length]))) as tf.Scalar;
  });
}
