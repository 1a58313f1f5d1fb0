/**
 * Self-distillation with no labels (DINO, arXiv 2104.14294): the student's class token of every view predicts
 * the teacher's class token of every other global view, over K prototypes.
 */
import {
  CENTERING,
  definePlugin,
  errors,
  linearWarmup,
  ProjectionMlp,
  PrototypeHealth,
  PrototypeLayer,
  tf,
  z,
  type LossContext,
  type Network,
  type StepContext,
  type Tensor2D,
  type UpdateContext,
} from "../../core/plugin.ts";
import { dinoLoss } from "./loss.ts";

const temperature = z.number().positive();

export default definePlugin(
  {
    name: "dino",
    api: "^1",
    summary:
      "DINO: the class token of each view predicts the teacher's class token of the other global views.",
    paper: "https://arxiv.org/abs/2104.14294",
    after: ["multi-crop"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(1).describe("weight of the loss; SERE's lambda_1"),
      outDim: z.int().positive().default(65536).describe("K, the number of prototypes"),
      hiddenDim: z.int().positive().default(2048).describe("width of the projection head"),
      bottleneckDim: z.int().positive().default(256).describe("width in front of the prototypes"),
      headLayers: z.int().positive().default(3).describe("linear layers in front of the prototypes"),
      normLastLayer: z.boolean().default(true).describe("keep the student's prototypes at length 1"),
      freezeLastLayerEpochs: z
        .number()
        .nonnegative()
        .default(1)
        .describe("epochs without updates of the prototypes"),
      studentTemp: temperature.default(0.1).describe("tau_s"),
      teacherTemp: temperature.default(0.04).describe("tau_t after its warm-up"),
      warmupTeacherTemp: temperature.default(0.04).describe("tau_t at the start of its warm-up"),
      warmupTeacherTempEpochs: z.int().nonnegative().default(0).describe("epochs of the warm-up of tau_t"),
      centerMomentum: z.number().min(0).max(1).default(0.9).describe("part of the center that a step keeps"),
      globalViews: z.string().default("global").describe("the view group that the teacher sees"),
    }),
  },
  (hooks, { name, options }) => {
    hooks.setup.tap(name, (setup) => {
      const { embedDim } = setup.backbone;
      const { hiddenDim, bottleneckDim, headLayers, outDim, normLastLayer, globalViews } = options;
      const frozenEpochs = options.freezeLastLayerEpochs;
      const student = setup.network("student");
      const teacher = setup.network("teacher");
      const teacherPass = setup.pass({ network: teacher, views: globalViews, outputs: { cls: true } });
      const viewCount = setup.views.reduce((sum, { count }) => sum + count, 0);
      if (viewCount === 1) throw errors.noViewPairs(name, globalViews);
      // The global views first: a view and the teacher's view of the same crop have the same index.
      const groups = [...setup.views].sort(
        (a, b) => Number(b.group === globalViews) - Number(a.group === globalViews),
      );
      const studentPasses = groups.map(({ group }) =>
        setup.pass({ network: student, views: group, outputs: { cls: true } }),
      );
      const mlp = setup.head(
        "projection",
        new ProjectionMlp({ inDim: embedDim, hiddenDim, bottleneckDim, layers: headLayers }),
      );
      const prototypes = setup.head(
        "projection.cls",
        new PrototypeLayer({ inDim: bottleneckDim, outDim, normLastLayer, frozenEpochs }),
      );
      const targets = setup
        .service(CENTERING)
        .declare(setup, { prototypes: outDim, momentum: options.centerMomentum });
      const temperatureAt = linearWarmup(
        options.warmupTeacherTemp,
        options.teacherTemp,
        options.warmupTeacherTempEpochs,
      );
      const teacherTemp = setup.schedule("teacherTemp", ({ epoch }) => temperatureAt(epoch));

      const logits = (step: StepContext, network: Network, cls: Tensor2D) =>
        step.apply(prototypes, network, step.apply(mlp, network, cls));
      const teacherLogits = (step: LossContext | UpdateContext) =>
        step.once("dino.teacherLogits", () => logits(step, teacher, step.output(teacherPass).clsToken));

      const health = new PrototypeHealth(setup, name, { teacherTemp, studentTemp: options.studentTemp });

      hooks.loss.tap(name, (losses, step) => {
        const tokens = studentPasses.map((pass) => step.output(pass).clsToken);
        const teacher = targets.probabilities(step, teacherLogits(step), step.value(teacherTemp));
        const loss = dinoLoss({
          teacher,
          student: logits(step, student, tf.concat(tokens)),
          batchSize: setup.run.batchSize,
          studentTemp: options.studentTemp,
        });
        losses.add(name, options.weight, loss);
        // Every target is compared with as many views.
        health.measure(losses, { targets: teacher, crossEntropy: loss, center: targets.center?.(step) });
      });

      hooks.update.tap(name, (step) => {
        targets.update?.(step, () => step.batch.mean(tf.mean(teacherLogits(step), 0, true)));
      });
    });
  },
);
