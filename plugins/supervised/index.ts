/** Learning from labels: the backbone and a linear classifier of its image token, with the usual regularisation. */
import {
  definePlugin,
  errors,
  float32,
  linear,
  tf,
  z,
  type Tensor1D,
  type Tensor2D,
} from "../../core/plugin.ts";
import { mixedCrossEntropy } from "./loss.ts";
import { drawMix, mixes, mixImages, mixingSchema, MixLayout, sharesOf } from "./mixing.ts";

export default definePlugin(
  {
    name: "supervised",
    api: "^1",
    summary:
      "Classification by labels, with mixup, cutmix and label smoothing: fine-tuning, or training from scratch.",
    paper: "https://arxiv.org/abs/2012.12877",
    // What is mixed has its colours changed already.
    after: ["multi-crop"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(1).describe("weight of the loss"),
      labelSmoothing: z
        .number()
        .min(0)
        .lt(1)
        .default(0.1)
        .describe("epsilon: the part of a label that all classes share alike"),
      ...mixingSchema.shape,
      views: z.string().default("global").describe("the view group that is classified"),
    }),
  },
  (hooks, { name, options }) => {
    hooks.setup.tap(name, (setup) => {
      const { run, backbone } = setup;
      if (run.numClasses === undefined) throw errors.labelsMissing(name);
      const { count, group, size } = setup.viewGroup(options.views);
      const student = setup.network("student");
      const pass = setup.pass({ network: student, views: group, outputs: { cls: true } });
      const weight = setup.variable("weight", [run.numClasses, backbone.embedDim], {
        kind: "truncatedNormal",
        std: 0.01,
      });
      const bias = setup.variable("bias", [run.numClasses], { kind: "zeros" });
      setup.classifier({ weight, bias });

      const mixed = mixes(options)
        ? setup.input("mix", {
            shape: [count * run.batchSize, MixLayout.length],
            // Rows are view-major, like the pixels.
            sample: ({ indices, random }) => {
              const rows = new Float32Array(count * indices.length * MixLayout.length);
              for (let view = 0; view < count; view++)
                indices.forEach((sample, b) =>
                  rows.set(
                    drawMix(random(sample, view), size, options),
                    (view * indices.length + b) * MixLayout.length,
                  ),
                );
              return rows;
            },
          })
        : undefined;
      if (mixed)
        hooks.augment.tap(name, (images, step) =>
          step.views.group === group ? mixImages(images, step.value(mixed) as Tensor2D) : images,
        );

      hooks.loss.tap(name, (losses, { output, read, labels, value }) => {
        const logits = float32(() => linear(output(pass).clsToken, read(weight), read(bias)));
        const ofViews: Tensor1D = tf.tile(labels, [count]);
        const shares = mixed ? sharesOf(value(mixed) as Tensor2D) : tf.onesLike(tf.cast(ofViews, "float32"));
        const { loss, accuracy } = mixedCrossEntropy(
          logits,
          ofViews,
          shares as Tensor1D,
          options.labelSmoothing,
        );
        losses.add(name, options.weight, loss);
        losses.metric("accuracy", accuracy);
      });
    });
  },
);
