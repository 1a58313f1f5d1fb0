/**
 * Contrastive learning without a teacher (SimCLR, arXiv 2002.05709): of all views of a batch's samples, each has to
 * find the other views of its own sample.
 */
import { definePlugin, errors, l2Normalize, MlpHead, z, type Tensor2D } from "../../core/plugin.ts";
import { contrast, nearestIsPositive, ntXent, type Projections } from "./loss.ts";

export default definePlugin(
  {
    name: "simclr",
    api: "^1",
    summary: "SimCLR: each view finds the other views of its sample among those of the batch; no teacher.",
    paper: "https://arxiv.org/abs/2002.05709",
    after: ["multi-crop"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(1).describe("weight of the loss"),
      temperature: z.number().positive().default(0.1).describe("tau of the similarities"),
      hiddenDim: z.int().positive().default(2048).describe("width of the projection head"),
      outDim: z.int().positive().default(128).describe("width of what is compared"),
      headLayers: z.int().positive().default(2).describe("linear layers of the projection head"),
      globalViews: z.string().default("global").describe("the view group whose views are compared"),
    }),
  },
  (hooks, { name, options }) => {
    hooks.setup.tap(name, (setup) => {
      const { weight, temperature, hiddenDim, outDim, headLayers, globalViews } = options;
      const { batchSize } = setup.run;
      const { count } = setup.viewGroup(globalViews);
      if (count < 2) throw errors.noViewPairs(name, globalViews);
      if (batchSize < 2) throw errors.batchTooSmall(name, batchSize, "contrasts the samples of a batch");
      const student = setup.network("student");
      const pass = setup.pass({ network: student, views: globalViews, outputs: { cls: true } });
      const projector = setup.head(
        `${name}.projector`,
        new MlpHead({
          inDim: setup.backbone.embedDim,
          hiddenDim,
          outDim,
          layers: headLayers,
          batchNorm: "all",
        }),
      );
      const origins = setup.input("origins", {
        shape: [count * batchSize, 2],
        dtype: "int32",
        sample: ({ indices }) =>
          Int32Array.from(
            Array.from({ length: count }, (_, view) => [...indices].flatMap((index) => [index, view])).flat(),
          ),
      });

      hooks.loss.tap(name, (losses, step) => {
        const own: Projections = {
          z: l2Normalize(step.apply(projector, student, step.output(pass).clsToken)),
          origins: step.value(origins) as Tensor2D,
        };
        const all: Projections = { z: step.batch.gather(own.z), origins: step.batch.gather(own.origins) };
        const compared = contrast(own, all, temperature);
        losses.add(name, weight, ntXent(compared));
        losses.metric("top1", nearestIsPositive(compared));
      });
    });
  },
);
