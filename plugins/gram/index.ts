/**
 * Gram anchoring (DINOv3, arXiv 2508.10104): from an epoch on, the similarities between the student's patches of a view
 * stay those that an earlier teacher finds, which sees the view larger.
 */
import { definePlugin, didYouMean, errors, z } from "../../core/plugin.ts";
import { gramLoss, resampleFeatures } from "./loss.ts";

export default definePlugin(
  {
    name: "gram",
    api: "^1",
    summary: "Gram anchoring: patches stay as alike as an earlier teacher finds them at a higher resolution.",
    paper: "https://arxiv.org/abs/2508.10104",
    after: ["multi-crop", "dino", "ibot", "data2vec"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(2).describe("weight of the loss, w_Gram"),
      startEpoch: z
        .int()
        .nonnegative()
        .optional()
        .describe("the first epoch with the loss; half of the run by default"),
      updateEvery: z
        .number()
        .positive()
        .default(10)
        .describe("epochs after which the Gram network becomes the teacher again"),
      scale: z
        .number()
        .min(1)
        .default(2)
        .describe("size of the Gram network's views over that of the student's; 1 for the same views"),
      globalViews: z.string().default("global").describe("the view group whose patches are anchored"),
    }),
  },
  (hooks, { name, options: { weight, startEpoch, updateEvery, scale, globalViews } }) => {
    hooks.views.tap(name, (views) => {
      const own = views.find(({ group }) => group === globalViews);
      if (!own) {
        const known = views.map(({ group }) => group);
        throw errors.viewGroupMissing(name, globalViews, known, didYouMean(globalViews, known));
      }
      if (scale === 1) return views;
      const size = Math.round(scale * own.size);
      return [...views, { ...own, group: name, size, sameCropAs: globalViews, auxiliary: true }];
    });

    hooks.setup.tap(name, (setup) => {
      const { epochs, stepsPerEpoch } = setup.run;
      const firstEpoch = startEpoch ?? Math.floor(epochs / 2);
      if (firstEpoch >= epochs) {
        const problem = `is ${firstEpoch}, after the last of ${epochs} epochs`;
        throw errors.optionInvalid(name, "startEpoch", problem, `use at most ${epochs - 1}`);
      }
      const network = setup.network("gram", {
        from: "teacher",
        update: {
          copyEvery: Math.max(1, Math.round(updateEvery * stepsPerEpoch)),
          // What a step copies counts from the next.
          fromStep: Math.max(0, firstEpoch * stepsPerEpoch - 1),
        },
      });
      const started = setup.phase("started", (epoch) => epoch >= firstEpoch);
      const common = { phase: started, outputs: { patches: true } };
      const studentPass = setup.pass({ ...common, network: setup.network("student"), views: globalViews });
      const gramViews = scale === 1 ? globalViews : name;
      const gramPass = setup.pass({ ...common, network, views: gramViews, own: "anchor" });

      hooks.loss.tap(name, (losses, step) => {
        if (!step.phase(started)) return;
        const features = step.output(gramPass).patchTokensNormed;
        const targets = resampleFeatures(features, gramPass.grid, studentPass.grid);
        losses.add(name, weight, gramLoss(step.output(studentPass).patchTokensNormed, targets));
      });
    });
  },
);
