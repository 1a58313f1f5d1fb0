/** What may be said where a file of weights is used without a run: the parts of a config that are not about training. */
import { z } from "zod";
import { errors } from "../errors.ts";
import { check, formatValue, throwProblems } from "./problems.ts";
import { computing, runSchema, type RunConfig } from "./schema.ts";

const { seed, data, evaluation } = runSchema.shape;

const weightsSchema = z.strictObject({
  seed,
  data,
  evaluation,
  train: z.strictObject(computing).prefault({}),
});

/** With every default filled in, but for the backbone: the weights say it. */
export type WeightsConfig = z.output<typeof weightsSchema> & {
  readonly backbone: NonNullable<RunConfig["backbone"]>;
  /** Of `data`, as far as it says them. */
  readonly normalisation: { readonly mean?: readonly number[]; readonly std?: readonly number[] };
};

/** Throws CONFIG_UNKNOWN_KEY, CONFIG_INVALID or CONFIG_PROBLEMS. */
export function parseWeightsConfig(config: unknown): WeightsConfig {
  if (typeof config !== "object" || config === null || Array.isArray(config))
    throw errors.configInvalid("config", `expected an object with data, got ${formatValue(config)}`);
  const { backbone = {}, ...rest } = config as {
    readonly backbone?: z.input<typeof runSchema.shape.backbone>;
  };
  const { problems, value } = check(weightsSchema, rest, "");
  throwProblems(problems);
  const { mean, std } = (config as { readonly data?: WeightsConfig["normalisation"] }).data ?? {};
  return { ...value!, backbone, normalisation: { ...(mean && { mean }), ...(std && { std }) } };
}
