/** From what was typed to a checked config and its plugins. */
import { resolve } from "node:path";
import type { ResolvedConfig } from "../core/config/schema.ts";
import { errors } from "../core/errors.ts";
import type { RunFolder } from "../core/run/folder.ts";
import type { ResolvedPlugin } from "../registry/resolve.ts";

/** Options of the commands that take a config. */
export interface ConfigOptions {
  readonly preset?: string;
  /** Images instead of the config's: a folder, tar shards or parquet files. */
  readonly data?: string;
  readonly limit?: number;
  /** key=value */
  readonly set?: readonly string[];
}

export interface LoadedRun {
  readonly config: ResolvedConfig;
  readonly plugins: readonly ResolvedPlugin[];
  readonly baseDir: string;
}

/**
 * @param file a config file
 * @param run a run whose config is taken where neither a file nor a preset is named
 * @throws USAGE without a config, and what loading, overriding, parsing and resolving throw
 */
export async function loadRun(
  file: string | undefined,
  options: ConfigOptions,
  run?: RunFolder,
): Promise<LoadedRun> {
  const { config, baseDir } = await readConfig(file, options, run);
  return checkedRun(config, options, baseDir);
}

/** A config with what was typed to change it. Throws what overriding, parsing and resolving throw. */
export async function checkedRun(
  written: unknown,
  options: ConfigOptions,
  baseDir: string,
): Promise<LoadedRun> {
  const { applyOverrides } = await import("../core/config/overrides.ts");
  const { parseConfig } = await import("../core/config/parse.ts");
  const { resolvePlugins } = await import("../registry/resolve.ts");
  const withOptions = await withData(written, options);
  const config = parseConfig(applyOverrides(withOptions, options.set ?? []), baseDir);
  return { config, plugins: await resolvePlugins(config.plugins, baseDir), baseDir };
}

async function readConfig(file: string | undefined, { preset }: ConfigOptions, run: RunFolder | undefined) {
  if (file !== undefined && preset !== undefined) {
    throw errors.usage(`there are two configs: ${file} and the preset ${preset}`, "give one of them");
  }
  if (file !== undefined) {
    const { loadConfig } = await import("../core/config/load.ts");
    return loadConfig(file);
  }
  if (preset !== undefined) {
    const { findPreset } = await import("../core/config/presets.ts");
    const { loadConfig } = await import("../core/config/load.ts");
    return { ...(await loadConfig(findPreset(preset))), baseDir: process.cwd() };
  }
  if (run) return { config: run.readConfig(), baseDir: run.readRun()?.baseDir ?? process.cwd() };
  throw errors.usage("there is no config", "name a config file, or a preset with --preset");
}

/** The config with the images that the options name. */
export async function withData(config: unknown, { data, limit }: ConfigOptions): Promise<unknown> {
  const { data: written } = (config ?? {}) as { data?: object };
  const changes = {
    ...(data === undefined ? {} : await imagesAt(resolve(data))),
    ...(limit === undefined ? {} : { limit }),
  };
  return Object.keys(changes).length === 0
    ? config
    : { ...(config as object), data: { ...written, ...changes } };
}

async function imagesAt(path: string): Promise<object> {
  const { kindOfImages } = await import("../core/data/kind-of-images.ts");
  return { dataset: await kindOfImages(path), path };
}
