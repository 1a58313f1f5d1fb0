/** What a run goes on with. */
import { errors } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Assembly, ResolvedPlugin } from "./assemble.ts";
import { fitOf, valuesFor, type Checkpoint } from "./checkpoint.ts";
import { learningDifferences } from "./run-settings.ts";

/**
 * The checkpoint's values by variable name. With `force` those that fit; what has changed, what is kept and what starts
 * from the seed is told.
 *
 * @throws RESUME_DIFFERS where the run would learn otherwise than before, CHECKPOINT_MISMATCH
 */
export function resumedValues(
  checkpoint: Checkpoint,
  { training, trained, config }: Assembly,
  plugins: readonly ResolvedPlugin[],
  { force = false, logger }: { force?: boolean; logger: Logger },
): ReadonlyMap<string, Float32Array> {
  const { variables } = training.state;
  const changed = learningDifferences(checkpoint.settings, config, plugins);
  if (checkpoint.dataset !== trained.fingerprint)
    changed.push({ key: "the images", before: checkpoint.dataset, now: trained.fingerprint });
  if (!force) {
    if (changed.length > 0) throw errors.resumeDiffers(changed);
    return valuesFor(checkpoint, variables);
  }
  for (const { key, before, now } of changed)
    logger.warn(`${key} changes from ${JSON.stringify(before)} to ${JSON.stringify(now)}`);
  const { values, missing, unexpected, reshaped } = fitOf(checkpoint, variables);
  const names = variables.map(({ name }) => name);
  const kept = names.filter((name) => values.has(name));
  logger.warn(`kept: ${byModule(kept, names)}`);
  const list = (what: string, listed: readonly string[]) =>
    listed.length > 0 && logger.warn(`${what}: ${listed.join(", ")}`);
  list("new, from the seed", modulesOf(missing));
  list("of another shape, from the seed", reshaped);
  list("no longer there", modulesOf(unexpected));
  return values;
}

/** "student/dino.head.weight" and "adam.m/dino.head.weight" -> "dino.head": a backbone or a head is one thing. */
function moduleOf(variable: string): string {
  const [first, second] = variable.slice(variable.indexOf("/") + 1).split(".");
  return first === "backbone" || second === undefined ? first! : `${first}.${second}`;
}

const modulesOf = (variables: readonly string[]): string[] => [...new Set(variables.map(moduleOf))];

/** "backbone, projection.cls (8 of 10 variables)" */
function byModule(kept: readonly string[], all: readonly string[]): string {
  const count = (names: readonly string[], module: string) =>
    names.filter((name) => moduleOf(name) === module).length;
  const told = modulesOf(kept).map((module) => {
    const [part, whole] = [count(kept, module), count(all, module)];
    return part === whole ? module : `${module} (${part} of ${whole} variables)`;
  });
  return told.join(", ") || "nothing";
}
