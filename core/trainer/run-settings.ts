/** What a run was told: its config and its plugins' options, as a checkpoint keeps them and a resumed run is held to them. */
import { runSchema, type ResolvedConfig } from "../config/schema.ts";
import type { ResolvedPlugin } from "./apply-plugin.ts";
import type { RunSettings } from "./checkpoint.ts";

type JsonObject = Readonly<Record<string, unknown>>;

export function runSettings(
  { plugins: _, ...config }: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
): RunSettings {
  const options = plugins.map(({ definition, options }) => [definition.manifest.name, options] as const);
  return { config, plugins: Object.fromEntries(options) };
}

/** One key that two settings differ in. */
export interface Difference {
  /** "train.lr", "plugins.dino.outDim"; "plugins.dino" where one of them does not have the plugin. */
  readonly key: string;
  readonly before: unknown;
  readonly now: unknown;
}

/**
 * Keys, and whole sections, that change where and how fast a run goes, and what is watched and kept of it, but not what
 * it learns: results differ by no more than rounding. The images are compared by themselves, not by their path.
 */
const FREE = [
  "name",
  "data.path",
  "data.workers",
  "data.prefetch",
  "data.readTimeout",
  "data.maxUnreadable",
  "backbone.recompute",
  "train.maxSteps",
  "train.device",
  "train.engine",
  "train.backend",
  "train.jit",
  "train.threads",
  "checkpoint",
  "evaluation",
  "health",
  "report",
];

/** Where a run that goes on would learn otherwise than before. */
export function learningDifferences(
  before: RunSettings,
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
): Difference[] {
  const isFree = (key: string) => FREE.some((free) => key === free || key.startsWith(`${free}.`));
  const now = runSettings(config, plugins);
  return [
    ...differences("", withDefaults(before.config), now.config).filter(({ key }) => !isFree(key)),
    ...differences("plugins", optionsWithDefaults(before.plugins, plugins), now.plugins),
  ];
}

function differences(key: string, before: unknown, now: unknown): Difference[] {
  if (isObject(before) && isObject(now)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
    return names.flatMap((name) =>
      differences(key === "" ? name : `${key}.${name}`, before[name], now[name]),
    );
  }
  return JSON.stringify(before) === JSON.stringify(now) ? [] : [{ key, before, now }];
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A key that came with a later relata has its default: the run was trained so. */
function withDefaults(config: JsonObject): JsonObject {
  const { success, data } = runSchema.omit({ plugins: true }).safeParse(config);
  return success ? data : config;
}

function optionsWithDefaults(before: JsonObject, plugins: readonly ResolvedPlugin[]): JsonObject {
  const entries = Object.entries(before).map(([name, given]) => {
    const known = plugins.find(({ definition }) => definition.manifest.name === name);
    const { success = false, data } = known?.definition.manifest.options.safeParse(given) ?? {};
    return [name, success ? data : given] as const;
  });
  return Object.fromEntries(entries);
}
