/** KoLeo (arXiv 1806.03198; DINOv2, arXiv 2304.07193): class tokens of a batch keep away from their nearest neighbours. */
import { definePlugin, errors, tf, z, type Tensor2D } from "../../core/plugin.ts";
import { koleoLoss } from "./loss.ts";

export default definePlugin(
  {
    name: "koleo",
    api: "^1",
    summary: "KoLeo: the student's class tokens spread over the sphere.",
    paper: "https://arxiv.org/abs/1806.03198",
    after: ["multi-crop", "dino", "ibot"],
    options: z.strictObject({
      weight: z.number().nonnegative().default(0.1).describe("weight of the loss, of each view"),
      globalViews: z.string().default("global").describe("the view group whose class tokens are spread"),
    }),
  },
  (hooks, { name, options: { weight, globalViews } }) => {
    hooks.setup.tap(name, (setup) => {
      const { batchSize } = setup.run;
      if (batchSize < 2) throw errors.batchTooSmall(name, batchSize, "spreads the samples of a batch");
      const pass = setup.pass({
        network: setup.network("student"),
        views: globalViews,
        outputs: { cls: true },
      });
      hooks.loss.tap(name, (losses, { output }) => {
        // Views of one image belong together: each view's samples are spread by themselves.
        const views = tf.split(output(pass).clsToken, pass.views.count) as Tensor2D[];
        losses.add(name, weight, tf.addN(views.map(koleoLoss)));
      });
    });
  },
);
