/**
 * The channel self-relation of SERE (arXiv 2206.05184): how each channel of the features relates to all
 * others must agree between all views of an image.
 */
import {
  definePlugin,
  RelationHeads,
  relationVariation,
  softmaxCrossEntropy,
  temperedSoftmax,
  tf,
  z,
  type Tensor,
} from "../../core/plugin.ts";
import { effectiveRank } from "./relation.ts";

const divisor = z.number().positive();
const meanOf = (values: readonly Tensor[]) => tf.div(tf.addN([...values]), values.length);

export default definePlugin(
  {
    name: "channel-relation",
    api: "^1",
    summary: "SERE's channel self-relation: channels relate to each other alike in all views.",
    paper: "https://arxiv.org/abs/2206.05184",
    after: ["multi-crop", "dino", "ibot"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(0.5).describe("weight of the loss; SERE's beta"),
      teacherTemp: z.number().positive().default(0.1).describe("tau_c; the student's is 1"),
      divisor: z
        .union([
          z.literal("tokens-per-side"),
          z.strictObject({
            global: divisor.describe("of global views"),
            local: divisor.describe("of local views"),
          }),
        ])
        .default("tokens-per-side")
        .describe(
          "m of R = (f / m)^T (f / m); SERE's code has global 14 and local 6 whatever the view's size",
        ),
      globalViews: z.string().default("global").describe("the view group that the teacher sees"),
    }),
  },
  (hooks, { name, options: { weight, teacherTemp, divisor, globalViews } }) => {
    hooks.setup.tap(name, (setup) => {
      setup.health({
        signal: "effectiveRank",
        below: 1.02,
        problem: "all patches of an image have the same features up to their length",
        remedy: `lower train.lr, or plugins.${name}.weight, now ${weight}`,
      });
      setup.health({
        signal: "variation",
        below: 0.05,
        problem: "the channels of all images relate alike: the relation collapses",
        remedy: `lower train.lr, or plugins.${name}.weight, now ${weight}`,
      });
      const heads = new RelationHeads(setup, name, globalViews);

      hooks.relation.tap(name, (relations, step) => {
        const features = heads.features(step);
        if (!features) return;
        const { views, grid } = step.pass;
        const scale =
          divisor === "tokens-per-side"
            ? 1 / (grid.rows * grid.columns)
            : divisor[views.group === globalViews ? "global" : "local"] ** -2;
        relations.addBilinear(name, features, { axis: "channel", scale });
      });

      hooks.loss.tap(name, (losses, { crossView }) => {
        const ranks: Tensor[] = [];
        const variations: Tensor[] = [];
        const target = (relation: Tensor) => {
          const own = temperedSoftmax(relation, teacherTemp);
          ranks.push(effectiveRank(relation));
          variations.push(relationVariation(own));
          return own;
        };
        losses.add(name, weight, crossView(name, softmaxCrossEntropy, { target, linear: true }));
        losses.metric("effectiveRank", meanOf(ranks));
        losses.metric("variation", meanOf(variations));
      });
    });
  },
);
