/**
 * Linear evaluation while training (protocol of SimCLR, arXiv 2002.05709, section 2.3): a linear classifier learns the
 * labels from features that it does not change.
 */
import {
  AdamW,
  definePlugin,
  errors,
  float32,
  linear,
  tf,
  z,
  type BackboneOutput,
  type Tensor,
  type Tensor2D,
} from "../../core/plugin.ts";
import { classify } from "./classifier.ts";

export default definePlugin(
  {
    name: "online-probe",
    api: "^1",
    summary: "A linear classifier of the features, trained beside them: their accuracy at every step.",
    paper: "https://arxiv.org/abs/2002.05709",
    options: z.strictObject({
      features: z
        .enum(["cls", "cls+mean"])
        .default("cls")
        .describe("the class token, or with the mean patch token beside it"),
      network: z.enum(["student", "teacher"]).default("student").describe("whose features they are"),
      lr: z.number().positive().default(1e-3).describe("of the classifier, constant"),
      weightDecay: z.number().nonnegative().default(0).describe("of the classifier, constant"),
      globalViews: z.string().default("global").describe("the view group whose first view is classified"),
    }),
  },
  (hooks, { name, options }) => {
    hooks.setup.tap(name, (setup) => {
      const { run, backbone } = setup;
      if (run.numClasses === undefined) throw errors.labelsMissing(name);
      const withMean = options.features === "cls+mean";
      const width = backbone.embedDim * (withMean ? 2 : 1);
      const pass = setup.pass({
        network: setup.network(options.network),
        views: options.globalViews,
        outputs: { cls: true, patches: withMean },
      });
      const group = setup.optimizerGroup("classifier", {
        lr: options.lr,
        weightDecay: options.weightDecay,
        clipGrad: 0,
        optimizer: new AdamW({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decayBiases: false }),
      });
      // The problem is convex: it may start from zeros.
      const own = { ema: false, group };
      const weight = setup.variable("weight", [run.numClasses, width], { kind: "zeros" }, own);
      const bias = setup.variable("bias", [run.numClasses], { kind: "zeros" }, own);

      /** Of the first view, [B, width]. */
      const features = (output: BackboneOutput): Tensor2D => {
        const firstView = <T extends Tensor>(x: T): T => tf.split(x, pass.views.count)[0] as T;
        const cls = firstView(output.clsToken);
        return withMean ? tf.concat([cls, tf.mean(firstView(output.patchTokensNormed), 1)], 1) : cls;
      };

      hooks.loss.tap(name, (losses) => {
        losses.addProbe(name, 1, ({ output, read, labels }) => {
          const x = features(output(pass));
          const logits = float32(() => linear(x, read(weight), read(bias)));
          const { loss, accuracy } = classify(logits, labels);
          losses.metric("accuracy", accuracy);
          return loss;
        });
      });
    });
  },
);
