/** Learning rates that fall from the last layer to the first (BEiT, arXiv 2106.08254, section A.2). */
import { definePlugin, z } from "../../core/plugin.ts";

export default definePlugin(
  {
    name: "layer-decay",
    api: "^1",
    summary: "Layer-wise learning-rate decay: the deeper a layer lies below the head, the slower it learns.",
    paper: "https://arxiv.org/abs/2106.08254",
    options: z.strictObject({
      decay: z
        .number()
        .positive()
        .max(1)
        .default(0.75)
        .describe("what the learning rate of a layer is multiplied by to give that of the layer before it"),
    }),
  },
  (hooks, { name, options: { decay } }) => {
    hooks.setup.tap(name, (setup) => {
      const last = setup.backbone.depth + 1;
      setup.lrScale(({ layer }) => decay ** (last - layer));
    });
  },
);
