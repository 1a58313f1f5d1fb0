/** A relation of your own: the student's cosine similarities of patches agree with the teacher's across views. */
import { crossEntropy, definePlugin, l2Normalize, tf, z } from "relata/plugin";

export default definePlugin(
  {
    name: "cosine-relation",
    api: "^1",
    summary: "Cross-view agreement of patch cosine similarities.",
    options: z.strictObject({
      weight: z.number().nonnegative().default(0.2),
      teacherTemp: z.number().positive().default(0.5),
    }),
  },
  (hooks, { name, options: { weight, teacherTemp } }) => {
    hooks.relation.tap(name, (relations, { patchTokens }) => {
      relations.addBilinear(name, l2Normalize(patchTokens), { axis: "token" });
    });
    hooks.loss.tap(name, (losses, { crossView }) => {
      const loss = crossView(name, (teacher, student) => crossEntropy(tf.div(teacher, teacherTemp), student));
      losses.add(name, weight, loss);
    });
  },
);
