/** The order in which plugins are applied, and so in which their taps run. */
import { errors } from "../core/errors.ts";
import type { PluginDefinition } from "../core/plugin.ts";

/**
 * Each plugin comes after those that its `after` names, where they are enabled; otherwise the order stays.
 *
 * @throws PLUGIN_CYCLE with the way round: a -> b -> a
 */
export function orderPlugins<P extends { readonly definition: PluginDefinition }>(
  plugins: readonly P[],
): P[] {
  const ordered: P[] = [];
  const waiting = new Map(plugins.map((plugin) => [plugin.definition.manifest.name, plugin]));
  const waitsFor = ({ definition }: P) => definition.manifest.after?.find((name) => waiting.has(name));
  while (waiting.size > 0) {
    const next = [...waiting].find(([, plugin]) => waitsFor(plugin) === undefined);
    if (!next) throw errors.pluginCycle(cycleAmong(waiting, waitsFor));
    ordered.push(next[1]);
    waiting.delete(next[0]);
  }
  return ordered;
}

/** Where every plugin waits for another, following them leads round. */
function cycleAmong<P>(
  waiting: ReadonlyMap<string, P>,
  waitsFor: (plugin: P) => string | undefined,
): string[] {
  const path: string[] = [];
  let name = [...waiting.keys()][0]!;
  while (!path.includes(name)) {
    path.push(name);
    name = waitsFor(waiting.get(name)!)!;
  }
  return [...path.slice(path.indexOf(name)), name];
}
