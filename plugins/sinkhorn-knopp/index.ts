/**
 * Sinkhorn-Knopp centering (SwAV, arXiv 2006.09882, section 3.1; DINOv2, arXiv 2304.07193, section 4): the teacher's
 * targets of a batch are spread over all prototypes alike, in the place of a moving center.
 */
import { CENTERING, definePlugin, z, type Centering } from "../../core/plugin.ts";
import { sinkhornKnopp } from "./sinkhorn.ts";

export default definePlugin(
  {
    name: "sinkhorn-knopp",
    api: "^1",
    summary: "Sinkhorn-Knopp in the place of the moving center of DINO and iBOT.",
    paper: "https://arxiv.org/abs/2006.09882",
    options: z.strictObject({
      iterations: z.int().positive().default(3).describe("turns of normalising prototypes, then samples"),
    }),
  },
  (_, { options: { iterations } }) => {
    const centering: Centering = {
      declare: () => ({
        probabilities: ({ batch }, logits, temperature, used) =>
          sinkhornKnopp({ logits, temperature, used, iterations, batch }),
      }),
    };
    return { services: (container) => container.bind(CENTERING, () => centering) };
  },
);
