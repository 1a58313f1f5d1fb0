/** What a file beside the weights says of them: the config of the run, or the config.json of a model. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { RUN_FILES } from "../report/runs.ts";

/** What the shapes of weights do not tell. */
export interface AboutWeights {
  readonly numHeads?: number | undefined;
  /** Of each channel of pixels in 0..1, as the network was trained. */
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
}

/** What is not as it is expected is left out. */
const maybe = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);
const heads = maybe(z.int().positive());
const means = maybe(z.array(z.number()));
const deviations = maybe(z.array(z.number().positive()));

/** config.resolved.json */
const runConfig = z.object({
  backbone: maybe(z.object({ numHeads: heads })),
  data: maybe(z.object({ mean: means, std: deviations })),
});

/** timm's config.json, and the names of transformers' for the heads. */
const modelConfig = z.object({
  model_args: maybe(z.object({ num_heads: heads })),
  num_attention_heads: heads,
  pretrained_cfg: maybe(z.object({ mean: means, std: deviations })),
});

/** Nothing where no such file lies in the folder, or it cannot be read. */
export function aboutWeights(folder: string): AboutWeights {
  const run = readJson(join(folder, RUN_FILES.config));
  if (run !== undefined) {
    const { backbone, data } = runConfig.catch({}).parse(run);
    return { numHeads: backbone?.numHeads, mean: data?.mean, std: data?.std };
  }
  const { model_args, num_attention_heads, pretrained_cfg } = modelConfig
    .catch({})
    .parse(readJson(join(folder, "config.json")) ?? {});
  return {
    numHeads: model_args?.num_heads ?? num_attention_heads,
    mean: pretrained_cfg?.mean,
    std: pretrained_cfg?.std,
  };
}

function readJson(file: string): unknown {
  try {
    return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  } catch {
    return undefined;
  }
}
