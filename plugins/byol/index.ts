/**
 * Bootstrap your own latent (BYOL, arXiv 2006.07733): from one view of a sample the student predicts the teacher's
 * projection of another, without negatives. Only the student has the predictor.
 */
import {
  definePlugin,
  errors,
  MlpHead,
  tf,
  z,
  type LossContext,
  type Network,
  type Pass,
  type Tensor2D,
} from "../../core/plugin.ts";
import { byolLoss } from "./loss.ts";

export default definePlugin(
  {
    name: "byol",
    api: "^1",
    summary: "BYOL: the student predicts the teacher's projection of the sample's other views; no negatives.",
    paper: "https://arxiv.org/abs/2006.07733",
    after: ["multi-crop"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(1).describe("weight of the loss"),
      hiddenDim: z.int().positive().default(4096).describe("width of projector and predictor"),
      outDim: z.int().positive().default(256).describe("width of projections and predictions"),
      globalViews: z.string().default("global").describe("the view group whose views predict each other"),
    }),
  },
  (hooks, { name, options: { weight, hiddenDim, outDim, globalViews } }) => {
    hooks.setup.tap(name, (setup) => {
      const { count } = setup.viewGroup(globalViews);
      if (count < 2) throw errors.noViewPairs(name, globalViews);
      const { batchSize } = setup.run;
      if (batchSize < 2)
        throw errors.batchTooSmall(name, batchSize, "normalises over the samples of a batch");
      const student = setup.network("student");
      const teacher = setup.network("teacher");
      const studentPass = setup.pass({ network: student, views: globalViews, outputs: { cls: true } });
      const teacherPass = setup.pass({ network: teacher, views: globalViews, outputs: { cls: true } });
      const projector = setup.head(
        `${name}.projector`,
        new MlpHead({ inDim: setup.backbone.embedDim, hiddenDim, outDim }),
      );
      const predictor = setup.head(
        `${name}.predictor`,
        new MlpHead({ inDim: outDim, hiddenDim, outDim, studentOnly: true }),
      );

      /** Of each view by itself: BatchNorm takes the statistics of one view, as in the official code. */
      const projections = (step: LossContext, network: Network, pass: Pass): Tensor2D[] =>
        tf
          .split(step.output(pass).clsToken, count)
          .map((view) => step.apply(projector, network, view as Tensor2D));

      hooks.loss.tap(name, (losses, step) => {
        const predictions = projections(step, student, studentPass).map((rows) =>
          step.apply(predictor, student, rows),
        );
        losses.add(name, weight, byolLoss(predictions, projections(step, teacher, teacherPass)));
      });
    });
  },
);
