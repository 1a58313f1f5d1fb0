/** Reads a config from a file: YAML, JSON, TypeScript or JavaScript. */
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { errors } from "../errors.ts";
import { didYouMean } from "./did-you-mean.ts";
import { importModule } from "./import-module.ts";
import type { RunConfig } from "./schema.ts";
import { readYaml, type YamlPlace } from "./yaml.ts";

const TEXT = [".yaml", ".yml", ".json"];
const CODE = [".ts", ".mts", ".js", ".mjs"];

/** A config as it was written, unchecked. */
export interface LoadedConfig {
  readonly config: unknown;
  /** The folder of the file: paths in the config start there. */
  readonly baseDir: string;
}

/** Gives a TypeScript config its type. */
export function defineConfig(config: RunConfig): RunConfig {
  return config;
}

/**
 * @throws CONFIG_MISSING, CONFIG_FORMAT, CONFIG_SYNTAX with line and column, CONFIG_LOAD where a TypeScript or
 *   JavaScript config fails or has no default export
 */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const file = resolve(path);
  const type = extname(file).toLowerCase();
  if (![...TEXT, ...CODE].includes(type)) throw errors.configFormat(file, [...TEXT, ...CODE]);
  const text = await readFile(file, "utf8").catch(async (cause: unknown) => {
    throw errors.configMissing(file, await neighbour(file)).because(cause);
  });
  const refuse = (problem: string, { line, column }: YamlPlace) =>
    errors.configSyntax(file, line, column, problem);
  const config = TEXT.includes(type) ? withoutSchema(readYaml(text, refuse)) : await importConfig(file);
  return { config, baseDir: dirname(file) };
}

/** A config without the line that tells editors its schema. */
function withoutSchema(config: unknown): unknown {
  if (typeof config !== "object" || config === null || Array.isArray(config)) return config;
  const { $schema: _, ...rest } = config as Record<string, unknown>;
  return rest;
}

async function importConfig(file: string): Promise<unknown> {
  const exported = await importModule(pathToFileURL(file).href).catch((cause: unknown) => {
    throw errors.configLoad(file, cause).because(cause);
  });
  if (exported["default"] === undefined) throw errors.configLoad(file, "it has no default export");
  return exported["default"];
}

/** A config beside the missing one with nearly its name. */
async function neighbour(file: string): Promise<string | undefined> {
  const names = await readdir(dirname(file)).catch(() => []);
  return didYouMean(
    basename(file),
    names.filter((name) => [...TEXT, ...CODE].includes(extname(name))),
  );
}
