/** The Lion optimizer (arXiv 2302.06675) in the place of AdamW. */
import { definePlugin, OPTIMIZER, z } from "../../core/plugin.ts";
import { Lion } from "./lion.ts";

const beta = z.number().min(0).lt(1);

export default definePlugin(
  {
    name: "lion",
    api: "^1",
    summary: "Lion in the place of AdamW: steps of one size, by the sign of a momentum.",
    paper: "https://arxiv.org/abs/2302.06675",
    options: z.strictObject({
      beta1: beta.default(0.9).describe("of the direction"),
      beta2: beta.default(0.99).describe("of the momentum"),
      decayBiases: z.boolean().default(false).describe("weight decay on biases too"),
    }),
  },
  (_, { options }) => ({ services: (container) => container.bind(OPTIMIZER, () => new Lion(options)) }),
);
