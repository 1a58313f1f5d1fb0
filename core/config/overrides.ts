/** `--set key=value`: single values of a config, changed from the command line. */
import { errors } from "../errors.ts";
import { keysAt } from "./describe.ts";
import { didYouMean } from "./did-you-mean.ts";
import { isPluginUse } from "./plugin-entry.ts";
import { runSchema } from "./schema.ts";
import { readYaml } from "./yaml.ts";

type Plain = Readonly<Record<string, unknown>>;

/**
 * Changes single values of an unchecked config; the config itself stays as it is. Values are YAML. A plugin's
 * options are addressed by its name: `plugins.dino.weight=1`.
 *
 * @throws OVERRIDE_SYNTAX, OVERRIDE_PATH for a key or plugin that does not exist
 */
export function applyOverrides(config: unknown, overrides: readonly string[]): unknown {
  return overrides.reduce<unknown>(applyOverride, config);
}

function applyOverride(config: unknown, text: string): unknown {
  const equals = text.indexOf("=");
  if (equals < 1) throw errors.overrideSyntax(text, "there is no key and value");
  const path = text.slice(0, equals).trim().split(".");
  const value = readYaml(text.slice(equals + 1), (problem) => errors.overrideSyntax(text, problem));
  const [first, name, ...option] = path;
  if (first === "plugins" && name !== undefined && option.length > 0) {
    return setOption(config, text, name, option[0] === "with" ? option.slice(1) : option, value);
  }
  path.forEach((key, depth) => {
    const known = keysAt(runSchema, path.slice(0, depth));
    if (known.includes(key)) return;
    const place = depth === 0 ? "the config" : path.slice(0, depth).join(".");
    throw errors.overridePath(text, key, place, known, didYouMean(key, known));
  });
  return withValue(config, path, value);
}

/** Options are checked later, by the plugin's own schema. */
function setOption(
  config: unknown,
  text: string,
  name: string,
  option: readonly string[],
  value: unknown,
): unknown {
  const plugins = (config as { plugins?: unknown } | undefined)?.plugins;
  const entries: readonly unknown[] = Array.isArray(plugins) ? plugins : [];
  const names = entries.map(nameOf);
  if (!names.includes(name)) {
    const known = names.filter((known) => known !== undefined);
    throw errors.overridePath(text, name, "plugins", known, didYouMean(name, known));
  }
  return {
    ...(config as Plain),
    plugins: entries.map((e, i) => (names[i] === name ? withOption(e, option, value) : e)),
  };
}

/** A plugin's name as far as its entry shows it: of a path or package, the last part. */
function nameOf(entry: unknown): string | undefined {
  if (isPluginUse(entry)) return entry.definition.manifest.name;
  const use = typeof entry === "string" ? entry : (entry as { use?: unknown } | undefined)?.use;
  return typeof use === "string" ? /([^/\\]+?)(\.[cm]?[jt]s)?$/.exec(use)?.[1] : undefined;
}

function withOption(entry: unknown, option: readonly string[], value: unknown): unknown {
  if (typeof entry === "string") return { use: entry, with: withValue({}, option, value) };
  return withValue(entry, [isPluginUse(entry) ? "options" : "with", ...option], value);
}

/** A copy in which the value at the path is another; objects on the way are made where there are none. */
function withValue(target: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  // What is no object stays, for the schema to refuse.
  if (typeof (target ?? {}) !== "object" || Array.isArray(target)) return target;
  const object = (target ?? {}) as Plain;
  return { ...object, [key]: withValue(object[key], rest, value) };
}
