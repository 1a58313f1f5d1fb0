/**
 * The spatial self-relation of SERE (arXiv 2206.05184): how each point of an image relates to all others
 * must agree between the views that see it.
 */
import {
  definePlugin,
  errors,
  RelationHeads,
  relationVariation,
  softmaxCrossEntropy,
  temperedSoftmax,
  tf,
  z,
} from "../../core/plugin.ts";
import { rowEntropy } from "./relation.ts";

const side = z.int().min(2);

export default definePlugin(
  {
    name: "pixel-relation",
    api: "^1",
    summary: "SERE's spatial self-relation: patches relate to each other alike in every view that sees them.",
    paper: "https://arxiv.org/abs/2206.05184",
    after: ["multi-crop", "dino", "ibot"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(0.2).describe("weight of the loss; SERE's alpha"),
      teacherTemp: z.number().positive().default(0.5).describe("tau_p; the student's is 1"),
      heads: z.int().positive().optional().describe("groups of channels; the backbone's numHeads by default"),
      overlapSide: z
        .strictObject({
          global: side.default(13).describe("between global views"),
          local: side.default(6).describe("between a local and a global view"),
        })
        .prefault({})
        .describe("points per side of the overlap of two global views, and of a local and a global one"),
      disjoint: z
        .enum(["count", "skip"])
        .default("count")
        .describe(
          "whether pairs of crops without an overlap count in the mean, with ln T, as in SERE's code",
        ),
      globalViews: z.string().default("global").describe("the view group that the teacher sees"),
    }),
  },
  (hooks, { name, options }) => {
    hooks.setup.tap(name, (setup) => {
      const { weight, teacherTemp, overlapSide, disjoint, globalViews } = options;
      const { embedDim, numHeads } = setup.backbone;
      const heads = options.heads ?? numHeads;
      if (embedDim % heads !== 0) {
        const problem = `${heads} does not divide embedDim ${embedDim}`;
        throw errors.optionInvalid(name, "heads", problem, `use a divisor of ${embedDim}`);
      }
      const scale = (embedDim / heads) ** -0.5;
      setup.health({
        signal: "rowEntropy",
        above: 0.99,
        problem: "each point relates to all points alike",
        remedy: `lower plugins.${name}.teacherTemp, now ${teacherTemp}, or train.lr`,
      });
      setup.health({
        signal: "variation",
        below: 0.05,
        problem: "the points of all images relate alike: the relation collapses",
        remedy: `lower train.lr, or plugins.${name}.weight, now ${weight}`,
      });
      const relationHeads = new RelationHeads(setup, name, globalViews);

      hooks.relation.tap(name, (relations, step) => {
        const features = relationHeads.features(step);
        if (features) relations.addBilinear(name, features, { axis: "token", heads, scale });
      });

      hooks.loss.tap(name, (losses, { crossView }) => {
        const loss = crossView(
          name,
          (target, student, { teacher, student: { views }, overlaps }) => {
            if (overlaps && views.group === teacher.views.group) {
              losses.metric("overlapRate", tf.mean(overlaps));
              losses.metric("rowEntropy", rowEntropy(target, overlaps));
              losses.metric("variation", relationVariation(target, overlaps));
            }
            return softmaxCrossEntropy(target, student);
          },
          {
            target: (relation) => temperedSoftmax(relation, teacherTemp),
            linear: true,
            overlapSide,
            disjoint,
          },
        );
        losses.add(name, weight, loss);
      });
    });
  },
);
