/**
 * data2vec for images (arXiv 2202.03555): at masked patches of the global views the student regresses the mean of the
 * teacher's top blocks, which sees the whole view.
 */
import {
  definePlugin,
  errors,
  gatherRows,
  maskSampler,
  mostMasked,
  patchWeights,
  replaceMasked,
  tf,
  z,
  type BackboneOutput,
  type MaskSpec,
  type Tensor2D,
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
    const spec: MaskSpec = {
      shape: options.maskShape,
      ratios: [{ ratio: options.maskRatio, variation: 0 }],
    };
    const blocks = Array.from({ length: topBlocks }, (_, i) => -1 - i);

    hooks.setup.tap(name, (setup) => {
      const { depth, embedDim, stemDim } = setup.backbone;
      if (topBlocks > depth) {
        const problem = `is ${topBlocks} of a backbone with ${depth} blocks`;
        throw errors.optionInvalid(name, "topBlocks", problem, `use at most ${depth}`);
      }
      const student = setup.network("student");
      const teacher = setup.network("teacher");
      const studentPass = setup.pass({ network: student, views: globalViews, outputs: { patches: true } });
      const teacherPass = setup.pass({ network: teacher, views: globalViews, outputs: { blocks } });

      const { grid, views } = studentPass;
      const patches = grid.rows * grid.columns;
      const most = mostMasked(spec, patches);
      if (most === 0) {
        const problem = `masks none of a view's ${patches} patches`;
        throw errors.optionInvalid(name, "maskRatio", problem, "choose a larger one, or larger views");
      }
      const mask = setup.mask(globalViews, { most, sample: maskSampler(spec, views.count, grid) });
      const narrow = { kind: "truncatedNormal", std: 0.02 } as const;
      const maskToken = setup.variable("maskToken", [1, stemDim], narrow, { ema: false });
      const head = setup.head(`${name}.head`, new RegressionHead(embedDim));

      hooks.embed.tap(name, (patchTokens, step) => {
        const { pass } = step;
        const isMasked = pass.network === student && pass.views.group === globalViews && !pass.unmasked;
        const masked = isMasked ? step.masked(mask) : undefined;
        return masked ? replaceMasked(patchTokens, masked.stemCells, step.read(maskToken)) : patchTokens;
      });

      const asRows = (tokens: Tensor3D): Tensor2D => tf.reshape(tokens, [-1, embedDim]);
      /** The teacher's patches after one of the top blocks, [V * B * N, D]. */
      const blockRows = (output: BackboneOutput, block: number): Tensor2D => {
        const tokens = output.block(block); // [V * B, T, D], the patches last
        const last = output.block(-1);
        if (tokens.shape.join() !== last.shape.join()) {
          const problem = `reaches a block that gives [${tokens.shape}], where the last gives [${last.shape}]`;
          throw errors.optionInvalid(name, "topBlocks", problem, "use fewer blocks");
        }
        return asRows(tf.slice(tokens, [0, tokens.shape[1] - patches, 0], [-1, patches, -1]));
      };

      hooks.loss.tap(name, (losses, step) => {
        const masked = step.masked(mask)!; // they start with the run
        const [own, whole] = [step.output(studentPass), step.output(teacherPass)];
        const rows = own.norm(gatherRows(asRows(own.patchTokens), masked.rows));
        const targets = blocks.map((block) => gatherRows(blockRows(whole, block), masked.rows));
        const loss = data2vecLoss({
          targets: blockTargets(targets, options.normalizeTargets),
          predictions: step.apply(head, student, rows),
          weights: patchWeights(masked),
          beta: options.beta,
        });
        losses.add(name, options.weight, loss);
        losses.metric("maskedShare", tf.mean(masked.cells));
      });
    });
  },
);
