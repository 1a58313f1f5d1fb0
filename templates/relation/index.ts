/** How patches relate within a view: their cosine similarities agree between teacher and student, view by view. */
import { definePlugin, l2Normalize, softmaxCrossEntropy, temperedSoftmax, z } from "relata/plugin";

export default definePlugin(
  {
    name: "my-plugin",
    api: "^1",
    summary: "Patches relate to each other alike in every view that sees them.",
    options: z.strictObject({
      weight: z.number().nonnegative().default(0.2).describe("weight of the loss"),
      teacherTemp: z.number().positive().default(0.5).describe("the student's is 1"),
    }),
  },
  (hooks, { name, options: { weight, teacherTemp } }) => {
    // In every pass: features whose products are the relation, f f^T. Patch tokens are [B, N, D].
    hooks.relation.tap(name, (relations, { patchTokens }) => {
      relations.addBilinear(name, l2Normalize(patchTokens), { axis: "token" });
    });
    // Once a step: each teacher view with each other student view, on the points that both see.
    hooks.loss.tap(name, (losses, { crossView }) => {
      const loss = crossView(name, softmaxCrossEntropy, {
        target: (relation) => temperedSoftmax(relation, teacherTemp),
      });
      losses.add(name, weight, loss);
    });
  },
);
