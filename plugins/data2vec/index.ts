/**
 * data2vec for images (arXiv 2202.03555): at masked patches of the global views the student regresses the mean of the
 * teacher's top blocks, which sees the whole view.
 */
import {
  definePlugin,
  errors,
  gatherTokens,
  maskPass,
  patchWeights,
  tf,
  z,
  type BackboneOutput,
  type MaskSpec,
  type Tensor3D,
} from "../../core/plugin.ts";
import { RegressionHead } from "./head.ts";
import { blockTargets, data2vecLoss } from "./loss.ts";

export default definePlugin(
  {
    name: "data2vec",
    api: "^1",
    summary: "data2vec: masked patches regress the mean of the teacher's top blocks.",
    paper: "https://arxiv.org/abs/2202.03555",
    after: ["multi-crop", "dino"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(1).describe("weight of the loss"),
      topBlocks: z.int().positive().default(6).describe("K, the blocks that are averaged, from the last"),
      normalizeTargets: z.boolean().default(true).describe("normalise the mean of the blocks once more"),
      beta: z.number().positive().default(2).describe("errors up to it count squared, larger ones linearly"),
      maskRatio: z.number().positive().max(1).default(0.6).describe("part of the patches that is masked"),
      maskShape: z
        .enum(["block", "random"])
        .default("block")
        .describe("rectangles of patches, or single ones"),
      globalViews: z.string().default("global").describe("the view group that is masked"),
    }),
  },
  (hooks, { name, options }) => {
    const { globalViews, topBlocks } = options;
    const masks: MaskSpec = {
      shape: options.maskShape,
      ratios: [{ ratio: options.maskRatio, variation: 0 }],
    };
    const blocks = Array.from({ length: topBlocks }, (_, i) => -1 - i);

    hooks.setup.tap(name, (setup) => {
      const { depth, embedDim } = setup.backbone;
      if (topBlocks > depth) {
        const problem = `is ${topBlocks} of a backbone with ${depth} blocks`;
        throw errors.optionInvalid(name, "topBlocks", problem, `use at most ${depth}`);
      }
      const student = setup.network("student");
      const teacher = setup.network("teacher");
      const studentPass = setup.pass({ network: student, views: globalViews, outputs: { patches: true } });
      const teacherPass = setup.pass({ network: teacher, views: globalViews, outputs: { blocks } });

      const token = { kind: "truncatedNormal", std: 0.02 } as const;
      const mask = maskPass(hooks, setup, name, studentPass, { masks, token });
      const head = setup.head(`${name}.head`, new RegressionHead(embedDim));

      const { rows, columns } = teacherPass.grid;
      const patches = rows * columns;
      /** The teacher's patches after one of the top blocks, [V * B, N, D]. */
      const blockPatches = (output: BackboneOutput, block: number): Tensor3D => {
        const tokens = output.block(block); // [V * B, T, D], the patches last
        const last = output.block(-1);
        if (tokens.shape.join() !== last.shape.join()) {
          const problem = `reaches a block that gives [${tokens.shape}], where the last gives [${last.shape}]`;
          throw errors.optionInvalid(name, "topBlocks", problem, "use fewer blocks");
        }
        return tf.slice(tokens, [0, tokens.shape[1] - patches, 0], [-1, patches, -1]);
      };

      hooks.loss.tap(name, (losses, step) => {
        const masked = step.masked(mask)!; // they start with the run
        const [own, whole] = [step.output(studentPass), step.output(teacherPass)];
        const features = own.norm(gatherTokens(own.patchTokens, masked.rows));
        const targets = blocks.map((block) => gatherTokens(blockPatches(whole, block), masked.rows));
        const loss = data2vecLoss({
          targets: blockTargets(targets, options.normalizeTargets),
          predictions: step.apply(head, student, features),
          weights: patchWeights(masked),
          beta: options.beta,
        });
        losses.add(name, options.weight, loss);
        losses.metric("maskedShare", tf.mean(masked.cells));
      });
    });
  },
);
