/** A loss between networks: the student's class token of each view points where the teacher's does. */
import { definePlugin, l2Normalize, stopGradient, tf, z } from "relata/plugin";

export default definePlugin(
  {
    name: "my-plugin",
    api: "^1",
    summary: "The student's class token points where the teacher's does.",
    options: z.strictObject({
      weight: z.number().nonnegative().default(1).describe("weight of the loss"),
      views: z.string().default("global").describe("the view group that is compared"),
    }),
  },
  (hooks, { name, options: { weight, views } }) => {
    // Once, before training: which networks see which views, and what will be read.
    hooks.setup.tap(name, (setup) => {
      const outputs = { cls: true };
      const student = setup.pass({ network: setup.network("student"), views, outputs });
      const teacher = setup.pass({ network: setup.network("teacher"), views, outputs });
      // Once a step: class tokens are [count * B, D].
      hooks.loss.tap(name, (losses, { output }) => {
        const own = l2Normalize(output(student).clsToken);
        const other = stopGradient(l2Normalize(output(teacher).clsToken));
        const cosine = tf.sum(tf.mul(own, other), 1);
        losses.add(name, weight, tf.mean(tf.sub(1, cosine)));
      });
    });
  },
);
