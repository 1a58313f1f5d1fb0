/** From a config as it was written to one with every default, or a coded error for all that is wrong with it. */
import { resolve } from "node:path";
import { errors } from "../errors.ts";
import { check, formatValue, throwProblems } from "./problems.ts";
import { ALPHA, runSchema, type ResolvedConfig } from "./schema.ts";

/**
 * Checks a config and fills in its defaults. Paths in it become absolute, so that the result means the same
 * wherever it is saved.
 *
 * @param baseDir the folder that paths in the config start from
 * @throws CONFIG_UNKNOWN_KEY or CONFIG_INVALID for one problem, CONFIG_PROBLEMS for several
 */
export function parseConfig(config: unknown, baseDir: string): ResolvedConfig {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw errors.configInvalid(
      "config",
      `expected an object with data, train and plugins, got ${formatValue(config)}`,
    );
  }
  const { problems, value } = check(runSchema, config, "");
  throwProblems(problems);
  const { data, evaluation, plugins } = value!;
  const { dense, test } = evaluation;
  const masks = dense === false ? undefined : dense.masks;
  const masksAreFiles = masks !== undefined && masks !== ALPHA;
  return {
    ...value!,
    data: data.path === undefined ? data : { ...data, path: absolute(baseDir, data.path) },
    evaluation: {
      ...evaluation,
      ...(masksAreFiles ? { dense: { masks: resolve(baseDir, masks) } } : {}),
      ...(test === undefined ? {} : { test: resolve(baseDir, test) }),
    },
    plugins: plugins.map((entry) =>
      "use" in entry && isRelative(entry.use) ? { ...entry, use: resolve(baseDir, entry.use) } : entry,
    ),
  };
}

function absolute(baseDir: string, path: string | string[]): string | string[] {
  return typeof path === "string" ? resolve(baseDir, path) : path.map((one) => resolve(baseDir, one));
}

const isRelative = (use: string) => /^\.\.?[/\\]/.test(use);
