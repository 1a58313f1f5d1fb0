/** From the config's `plugins` to plugins that are found, checked and in order. */
import type { PluginEntry } from "../core/config/plugin-entry.ts";
import { check, throwProblems } from "../core/config/problems.ts";
import { errors, type RelataError } from "../core/errors.ts";
import type { PluginDefinition } from "../core/plugin.ts";
import { findPlugin } from "./find.ts";
import { orderPlugins } from "./order.ts";
import { asDefinition } from "./shape.ts";
import type { ResolvedPlugin } from "../core/trainer/assemble.ts";

export type { ResolvedPlugin };

interface FoundPlugin {
  readonly definition: PluginDefinition;
  readonly options: unknown;
  /** What the config calls it; a value has no name. */
  readonly source?: string;
}

/**
 * Finds every plugin, checks its options and puts them in the order in which they are applied.
 *
 * @param baseDir the config's folder: where paths start and packages are looked for
 * @throws PLUGIN_UNKNOWN, PLUGIN_FILE_MISSING, PLUGIN_LOAD, PLUGIN_SHAPE, PLUGIN_API; then, together where
 *   there are several: wrong options (CONFIG_UNKNOWN_KEY, CONFIG_INVALID), PLUGIN_TWICE, PLUGIN_REQUIRES;
 *   then PLUGIN_CYCLE
 */
export async function resolvePlugins(
  entries: readonly PluginEntry[],
  baseDir: string,
): Promise<ResolvedPlugin[]> {
  const found: FoundPlugin[] = [];
  for (const entry of entries) found.push(await find(entry, baseDir));

  const problems: RelataError[] = [...listedTwice(found), ...missing(found)];
  const plugins = found.map(({ definition, options, source }) => {
    const { manifest } = definition;
    const outcome = check(manifest.options, options, `plugins.${manifest.name}.with`);
    problems.push(...outcome.problems);
    const own = source === undefined || source === manifest.name;
    return { definition, options: outcome.value, ...(own ? {} : { source }) };
  });
  throwProblems(problems);
  return orderPlugins(plugins);
}

async function find(entry: PluginEntry, baseDir: string): Promise<FoundPlugin> {
  if ("use" in entry) {
    const definition = asDefinition(await findPlugin(entry.use, baseDir), `"${entry.use}"`);
    return { definition, options: entry.with, source: entry.use };
  }
  const definition = asDefinition(entry.definition, "a value in plugins");
  return { definition, options: entry.options };
}

function listedTwice(found: readonly FoundPlugin[]): RelataError[] {
  const sources = new Map<string, string[]>();
  for (const { definition, source } of found) {
    const { name } = definition.manifest;
    sources.set(name, [...(sources.get(name) ?? []), source ?? "a value"]);
  }
  return [...sources].filter(([, all]) => all.length > 1).map(([name, all]) => errors.pluginTwice(name, all));
}

function missing(found: readonly FoundPlugin[]): RelataError[] {
  const enabled = new Set(found.map(({ definition }) => definition.manifest.name));
  return found.flatMap(({ definition: { manifest } }) =>
    (manifest.requires ?? [])
      .filter((name) => !enabled.has(name))
      .map((name) => errors.pluginRequires(manifest.name, name)),
  );
}
