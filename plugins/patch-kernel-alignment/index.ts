/**
 * PaKA (arXiv 2509.05606): how the patches of an image relate, as a kernel of their features, must agree between the
 * teacher's views and the student's, on what both see.
 */
import {
  comparedPasses,
  definePlugin,
  ProjectionMlp,
  tf,
  z,
  type RelationContext,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from "../../core/plugin.ts";
import {
  alignmentLoss,
  centeredFeatures,
  centeredKernel,
  effectiveRank,
  meanOfOverlapping,
} from "./alignment.ts";

const side = z.int().min(2).default(7);

export default definePlugin(
  {
    name: "patch-kernel-alignment",
    api: "^1",
    summary:
      "PaKA: patches relate to each other alike, by centered kernel alignment, in every view that sees them.",
    paper: "https://arxiv.org/abs/2509.05606",
    after: ["multi-crop", "dino", "ibot"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(1).describe("weight of the loss"),
      headLayers: z
        .int()
        .nonnegative()
        .default(3)
        .describe("linear layers of the projection head; 0 relates the backbone's patch tokens themselves"),
      hiddenDim: z.int().positive().default(2048).describe("width of the projection head"),
      bottleneckDim: z.int().positive().default(256).describe("width of what is related"),
      overlapSide: z
        .strictObject({
          global: side.describe("between global views"),
          local: side.describe("between a local and a global view"),
        })
        .prefault({})
        .describe("points per side of the overlap of two global views, and of a local and a global one"),
      disjoint: z
        .enum(["count", "skip"])
        .default("skip")
        .describe("whether pairs of crops without an overlap count in the mean, with 1"),
      globalViews: z.string().default("global").describe("the view group that the teacher sees"),
    }),
  },
  (hooks, { name, options }) => {
    const { weight, headLayers, hiddenDim, bottleneckDim, overlapSide, disjoint, globalViews } = options;

    hooks.setup.tap(name, (setup) => {
      const passes = comparedPasses(setup, name, globalViews);
      const inDim = setup.backbone.embedDim;
      const head =
        headLayers > 0
          ? setup.head(
              `${name}.head`,
              new ProjectionMlp({ inDim, hiddenDim, bottleneckDim, layers: headLayers }),
            )
          : undefined;

      const features = ({ pass, output, apply }: RelationContext): Tensor3D => {
        const tokens = output.patchTokensNormed;
        if (!head) return tokens;
        const [batch, count] = tokens.shape;
        const rows: Tensor2D = tf.reshape(tokens, [batch * count, inDim]);
        return tf.reshape(apply(head, pass.network, rows), [batch, count, bottleneckDim]);
      };
      hooks.relation.tap(name, (relations, step) => {
        if (passes.includes(step.pass)) {
          relations.addBilinear(name, centeredFeatures(features(step)), { axis: "token" });
        }
      });

      hooks.loss.tap(name, (losses, { crossView }) => {
        const ranks: Tensor1D[] = [];
        const counted: Tensor1D[] = [];
        const loss = crossView(
          name,
          (target, kernel, { overlaps }) => {
            ranks.push(effectiveRank(target));
            counted.push(overlaps!);
            return alignmentLoss(target, kernel);
          },
          // A dimmed point would relate to all others in another way in the one view than in the other.
          { target: centeredKernel, overlapSide, disjoint, padding: "border" },
        );
        losses.add(name, weight, loss);
        losses.metric("effectiveRank", meanOfOverlapping(ranks, counted));
      });
    });
  },
);
