/** ConvNeXt (arXiv 2201.03545) in the place of the vision transformer. */
import { BACKBONE, definePlugin, RUN, z } from "../../core/plugin.ts";
import { ConvNext, convNextArchitectures } from "./convnext.ts";

type Architecture = keyof typeof convNextArchitectures;
const architectures = Object.keys(convNextArchitectures) as Architecture[];
const ofStages = z.array(z.int().positive()).min(1).optional();

interface Stages {
  readonly arch: Architecture;
  readonly depths?: readonly number[] | undefined;
  readonly dims?: readonly number[] | undefined;
}

export default definePlugin(
  {
    name: "convnext",
    api: "^1",
    summary: "ConvNeXt in the place of the vision transformer.",
    paper: "https://arxiv.org/abs/2201.03545",
    options: z
      .strictObject({
        arch: z.enum(architectures).default("tiny").describe("depths and dims of the stages"),
        depths: ofStages.describe("blocks of each stage, in the place of the arch's"),
        dims: ofStages.describe(
          "width of each stage, in the place of the arch's; the last is D of the tokens",
        ),
        dropPathRate: z.number().min(0).lt(1).default(0).describe("stochastic depth of the last block"),
        layerScale: z.number().positive().default(1e-6).describe("initial value of the layer scale"),
      })
      .refine((options) => stagesOf(options).depths.length === stagesOf(options).dims.length, {
        path: ["depths"],
        message: "give as many depths as dims, one for each stage",
      }),
  },
  (_, { options }) => ({
    services: (container) => {
      const { dropPathRate, layerScale } = options;
      container.bind(BACKBONE, (services) => {
        const { channels } = services.get(RUN);
        return new ConvNext({ ...stagesOf(options), channels, dropPathRate, layerScale });
      });
    },
  }),
);

/** The arch's sizes, where none are given. */
function stagesOf({ arch, depths, dims }: Stages) {
  const own = convNextArchitectures[arch];
  return { depths: depths ?? own.depths, dims: dims ?? own.dims };
}
