/**
 * Masked image modelling with an online tokenizer (iBOT, arXiv 2111.07832): at masked patches of the global views the
 * student predicts the teacher's distribution over prototypes, which sees the whole view.
 */
import {
  CENTERING,
  definePlugin,
  gatherRows,
  gatherTokens,
  linear,
  linearWarmup,
  maskPass,
  patchWeights,
  ProjectionMlp,
  PrototypeHealth,
  PrototypeLayer,
  tf,
  z,
  type BackboneOutput,
  type LossContext,
  type MaskSpec,
  type SetupContext,
  type Tensor1D,
  type Tensor2D,
  type UpdateContext,
} from "../../core/plugin.ts";
import { comparedSample, ibotLossOfFeatures, type PatchesOfLoss } from "./loss.ts";

const temperature = z.number().positive();
const ratios = (range: z.ZodNumber) => z.union([range.transform((one) => [one]), z.array(range).min(1)]);

/** Of the projection head of patch tokens. */
const headOptions = {
  share: z
    .enum(["head", "mlp", "nothing"])
    .default("head")
    .describe("what class and patch tokens have in common: MLP and prototypes, the MLP, or nothing"),
  outDim: z
    .int()
    .positive()
    .optional()
    .describe("K, the number of prototypes; dino's where they are shared, else 8192"),
  hiddenDim: z.int().positive().optional().describe("dino's where it is shared, else 2048"),
  bottleneckDim: z.int().positive().optional().describe("dino's where it is shared, else 256"),
  headLayers: z.int().positive().optional().describe("dino's where it is shared, else 3"),
  normLastLayer: z
    .boolean()
    .optional()
    .describe("keep the student's prototypes at length 1; dino's where they are shared, else true"),
  freezeLastLayerEpochs: z
    .number()
    .nonnegative()
    .optional()
    .describe("epochs without updates of the prototypes; dino's where they are shared, else 1"),
};
type HeadOptions = z.output<z.ZodObject<typeof headOptions>>;

export default definePlugin(
  {
    name: "ibot",
    api: "^1",
    summary: "iBOT: masked patches predict the teacher's distribution of the same patches.",
    paper: "https://arxiv.org/abs/2111.07832",
    after: ["multi-crop", "dino"],
    options: z
      .strictObject({
        weight: z.number().nonnegative().default(1).describe("weight of the loss; SERE's lambda_2"),
        maskRatio: ratios(z.number().min(0).max(1))
          .default([0, 0.3])
          .describe("part of the patches that is masked; of several, each image takes one"),
        maskRatioVariation: ratios(z.number().min(0).max(1))
          .default([0, 0.2])
          .describe("half the width of the range around each maskRatio"),
        maskShape: z
          .enum(["block", "random"])
          .default("block")
          .describe("rectangles of patches, or single ones"),
        maskStartEpoch: z
          .number()
          .nonnegative()
          .default(0)
          .describe("nothing is masked before; then another loss is needed"),
        ...headOptions,
        studentTemp: temperature.default(0.1).describe("tau_s"),
        teacherTemp: temperature.default(0.07).describe("tau_t after its warm-up"),
        warmupTeacherTemp: temperature.default(0.04).describe("tau_t at the start of its warm-up"),
        warmupTeacherTempEpochs: z
          .int()
          .nonnegative()
          .default(30)
          .describe("linear, by epoch, from maskStartEpoch"),
        centerMomentum: z
          .number()
          .min(0)
          .max(1)
          .default(0.9)
          .describe("part of the center that a step keeps"),
        globalViews: z.string().default("global").describe("the view group that is masked"),
      })
      .refine(({ maskRatio, maskRatioVariation }) => maskRatio.length === maskRatioVariation.length, {
        path: ["maskRatioVariation"],
        message: "give one variation for each maskRatio",
      }),
  },
  (hooks, { name, options }) => {
    const masks: MaskSpec = {
      shape: options.maskShape,
      ratios: options.maskRatio.map((ratio, i) => ({ ratio, variation: options.maskRatioVariation[i]! })),
    };

    hooks.setup.tap(name, (setup) => {
      const { globalViews, maskStartEpoch } = options;
      const { embedDim } = setup.backbone;
      const student = setup.network("student");
      const teacher = setup.network("teacher");
      const outputs = { patches: true };
      const studentPass = setup.pass({ network: student, views: globalViews, outputs });
      const teacherPass = setup.pass({ network: teacher, views: globalViews, outputs });
      const mask = maskPass(hooks, setup, name, studentPass, {
        masks,
        token: { kind: "zeros" },
        startEpoch: maskStartEpoch,
      });

      const { mlp, prototypes, outDim } = declareHead(setup, options);
      const targets = setup
        .service(CENTERING)
        .declare(setup, { prototypes: outDim, momentum: options.centerMomentum });
      const temperatureAt = linearWarmup(
        options.warmupTeacherTemp,
        options.teacherTemp,
        options.warmupTeacherTempEpochs,
      );
      const teacherTemp = setup.schedule("teacherTemp", ({ epoch }) =>
        temperatureAt(Math.max(0, epoch - maskStartEpoch)),
      );

      const health = new PrototypeHealth(setup, name, { teacherTemp, studentTemp: options.studentTemp });

      /** The teacher's bottleneck features of all patches, [V * B * N, bottleneckDim]. */
      const teacherFeatures = (step: LossContext | UpdateContext) =>
        step.once("ibot.teacherFeatures", () => {
          const tokens = step.output(teacherPass).patchTokensNormed;
          return step.apply(mlp, teacher, tf.reshape(tokens, [-1, embedDim]) as Tensor2D);
        });

      hooks.loss.tap(name, (losses, step) => {
        // Where the update wants the mean of all patches, the masked ones are among them.
        const features = targets.update && teacherFeatures(step);
        const masked = step.masked(mask);
        if (!masked) {
          losses.add(name, options.weight, tf.scalar(0));
          return;
        }
        const maskedOf = (output: BackboneOutput) =>
          output.norm(gatherTokens(output.patchTokens, masked.rows));
        const targetFeatures = features
          ? gatherRows(features, masked.rows)
          : step.apply(mlp, teacher, maskedOf(step.output(teacherPass)));
        const ofTeacher = step.weight(prototypes, teacher);
        const probabilities = (features: Tensor2D, used: Tensor1D) =>
          targets.probabilities(step, linear(features, ofTeacher), step.value(teacherTemp), used);
        const patches: PatchesOfLoss = {
          teacher: targets.rowwise
            ? { rows: targetFeatures, probabilities }
            : { rows: probabilities(targetFeatures, masked.used), probabilities: (rows) => rows },
          student: step.apply(mlp, student, maskedOf(step.output(studentPass))),
          prototypes: step.weight(prototypes, student),
          used: masked.used,
          weights: patchWeights(masked),
          studentTemp: options.studentTemp,
        };
        losses.add(name, options.weight, ibotLossOfFeatures(patches));
        losses.metric("maskedShare", tf.mean(masked.cells));
        health.measure(losses, { ...comparedSample(patches), center: targets.center?.(step) });
      });

      hooks.update.tap(name, (step) => {
        targets.update?.(step, () => {
          // The mean of the logits is the logit of the mean: the last layer is linear.
          const meanFeature = step.batch.mean(tf.mean(teacherFeatures(step), 0, true));
          return step.apply(prototypes, teacher, meanFeature as Tensor2D);
        });
      });
    });
  },
);

/** The head of the patch tokens. What it shares with the class token's is as declared there, unless options differ. */
function declareHead(setup: SetupContext, options: HeadOptions) {
  const { share } = options;
  const mlpName = share === "nothing" ? "projection.patchMlp" : "projection";
  const prototypesName = share === "head" ? "projection.cls" : "projection.patch";
  const sharedMlp = setup.headSpec(mlpName) as Partial<ProjectionMlp["spec"]> | undefined;
  const shared = setup.headSpec(prototypesName) as Partial<PrototypeLayer["spec"]> | undefined;
  const bottleneckDim = options.bottleneckDim ?? sharedMlp?.bottleneckDim ?? 256;
  const outDim = options.outDim ?? shared?.outDim ?? 8192;
  const mlp = new ProjectionMlp({
    inDim: setup.backbone.embedDim,
    hiddenDim: options.hiddenDim ?? sharedMlp?.hiddenDim,
    bottleneckDim,
    layers: options.headLayers ?? sharedMlp?.layers,
  });
  const prototypes = new PrototypeLayer({
    inDim: bottleneckDim,
    outDim,
    normLastLayer: options.normLastLayer ?? shared?.normLastLayer,
    frozenEpochs: options.freezeLastLayerEpochs ?? shared?.frozenEpochs ?? 1,
  });
  return {
    mlp: setup.head(mlpName, mlp),
    prototypes: setup.head(prototypesName, prototypes),
    outDim,
  };
}
