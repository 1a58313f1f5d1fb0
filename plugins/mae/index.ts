/**
 * Masked autoencoders (MAE, arXiv 2111.06377): the student encodes a quarter of a view's patches, and a small decoder
 * reconstructs the pixels of the others. There is no teacher.
 */
import {
  definePlugin,
  errors,
  tf,
  z,
  type StepContext,
  type Tensor2D,
  type Tensor3D,
} from "../../core/plugin.ts";
import { DecoderEmbed, PixelDecoder } from "./decoder.ts";
import { normalisePatches, patchPixels, reconstructionLoss } from "./loss.ts";
import { positionsInOrder, sinCosPositions } from "./positions.ts";
import { keepPatches, keptPatches, tokensAt } from "./tokens.ts";

export default definePlugin(
  {
    name: "mae",
    api: "^1",
    summary: "MAE: a decoder reconstructs the pixels of patches that the encoder does not see.",
    paper: "https://arxiv.org/abs/2111.06377",
    after: ["multi-crop"],
    options: z
      .strictObject({
        weight: z.number().nonnegative().default(1).describe("weight of the loss"),
        maskRatio: z.number().gt(0).lt(1).default(0.75).describe("part of the patches that is dropped"),
        decoderDim: z.int().positive().multipleOf(4).default(512).describe("width of the decoder"),
        decoderDepth: z.int().positive().default(8).describe("blocks of the decoder"),
        decoderHeads: z.int().positive().default(16).describe("attention heads of the decoder"),
        normPixLoss: z
          .boolean()
          .default(true)
          .describe("predict pixels normalised by their patch's mean and deviation"),
        views: z.string().default("global").describe("the view group, each of whose views is reconstructed"),
      })
      .refine(({ decoderDim, decoderHeads }) => decoderDim % decoderHeads === 0, {
        path: ["decoderHeads"],
        message: "the heads have to divide decoderDim",
      }),
  },
  (hooks, { name, options }) => {
    hooks.setup.tap(name, (setup) => {
      const { weight, maskRatio, decoderDim, decoderDepth, decoderHeads, normPixLoss, views } = options;
      const { backbone, run } = setup;
      const student = setup.network("student");
      const pass = setup.pass({ network: student, views, own: "visible", outputs: { patches: true } });
      const { grid } = pass;
      const stem = backbone.stemGrid(pass.views.size);
      if (stem.rows !== grid.rows || stem.columns !== grid.columns) {
        throw errors.backboneMerges(name, stem, grid);
      }
      const patches = grid.rows * grid.columns;
      const kept = keptPatches(patches, maskRatio);
      const dropped = patches - kept;
      if (kept === 0 || dropped === 0) {
        const problem = `keeps ${kept} of a view's ${patches} patches, and drops ${dropped}`;
        throw errors.optionInvalid(name, "maskRatio", problem, "keep one at least, and drop one; or make larger views"); // prettier-ignore
      }
      const { count } = pass.views;
      // The patches of each view in random order: first those that the encoder sees.
      const order = setup.input("order", {
        shape: [count * run.batchSize, patches],
        dtype: "int32",
        sample: ({ indices, random }) => {
          const places = new Int32Array(count * indices.length * patches);
          for (let view = 0; view < count; view++) {
            indices.forEach((sample, b) => {
              const own = random(sample, view).permutation(patches);
              places.set(own, (view * indices.length + b) * patches);
            });
          }
          return places;
        },
      });
      const embed = setup.head(
        `${name}.embed`,
        new DecoderEmbed({ inDim: backbone.embedDim, decoderDim, dropped }),
      );
      const decoder = setup.head(
        `${name}.decoder`,
        new PixelDecoder({
          decoderDim,
          depth: decoderDepth,
          numHeads: decoderHeads,
          dropped,
          outDim: grid.stride ** 2 * run.channels,
        }),
      );
      const front = (backbone.hasClsToken ? 1 : 0) + backbone.registerTokens;
      const positions = sinCosPositions(grid, decoderDim);

      /** [V B, N] */
      const orderOf = (step: StepContext) => step.value(order) as Tensor2D;
      /** [V B, kept] and [V B, dropped] */
      const split = (step: StepContext) =>
        tf.split(orderOf(step), [kept, dropped], 1) as [Tensor2D, Tensor2D];

      hooks.tokens.tap(name, (tokens, step) =>
        step.pass === pass ? keepPatches(tokens, split(step)[0], front) : tokens,
      );

      hooks.loss.tap(name, (losses, step) => {
        const output = step.output(pass);
        const rows: Tensor2D = tf.reshape(output.tokens, [-1, backbone.embedDim]);
        const encoded: Tensor3D = tf.reshape(output.norm(rows), output.tokens.shape); // [V B, front + kept, D]
        const placed = tf.add(
          step.apply(embed, student, encoded),
          positionsInOrder(positions, orderOf(step), front),
        ) as Tensor3D; // [V B, front + N, decoderDim]
        const predicted = step.apply(decoder, student, placed);
        const pixels = tokensAt(patchPixels(step.pixels(views), grid.stride), split(step)[1]);
        const target = normPixLoss ? normalisePatches(pixels) : pixels;
        losses.add(name, weight, reconstructionLoss(predicted, target));
      });
    });
  },
);
