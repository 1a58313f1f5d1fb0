/** Finds the module of a plugin: built in, a file beside the config, or an npm package. */
import { readdirSync, statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { didYouMean } from "../core/config/did-you-mean.ts";
import { findPackage, importModule } from "../core/config/import-module.ts";
import { errors, RelataError } from "../core/errors.ts";
import { builtins } from "./builtins.ts";

/** What a path may leave out. */
const ENDINGS = ["", ".ts", ".js", ".mts", ".mjs", "/index.ts", "/index.js"];
const PLUGIN_FILE = /\.[cm]?[jt]s$/;

/**
 * The default export of a plugin's module.
 *
 * @param use a built-in name, a path from `baseDir`, or a package that a file in `baseDir` could import
 * @throws PLUGIN_UNKNOWN, PLUGIN_FILE_MISSING, PLUGIN_LOAD
 */
export async function findPlugin(use: string, baseDir: string): Promise<unknown> {
  try {
    const builtin = Object.hasOwn(builtins, use) ? builtins[use] : undefined;
    if (builtin) return (await builtin()).default;
    const url = isPath(use) ? fileUrl(use, baseDir) : await packageUrl(use, baseDir);
    return (await importModule(url))["default"];
  } catch (error) {
    throw error instanceof RelataError ? error : errors.pluginLoad(`"${use}"`, error).because(error);
  }
}

function isPath(use: string): boolean {
  return use.startsWith(".") || isAbsolute(use) || (PLUGIN_FILE.test(use) && !use.startsWith("@"));
}

function fileUrl(use: string, baseDir: string): string {
  const path = resolve(baseDir, use);
  const tried = ENDINGS.map((ending) => path + ending);
  const found = tried.find((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
  if (found === undefined)
    throw errors.pluginFileMissing(path, extname(path) ? [path] : tried.slice(1, 3), neighbour(path));
  return pathToFileURL(found).href;
}

/** A file or folder beside the missing one with nearly its name. */
function neighbour(path: string): string | undefined {
  if (!statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory()) return undefined;
  return didYouMean(basename(path), readdirSync(dirname(path)));
}

async function packageUrl(name: string, baseDir: string): Promise<string> {
  const url = await findPackage(name, baseDir);
  if (url !== undefined) return url;
  const known = Object.keys(builtins);
  throw errors.pluginUnknown(name, known, baseDir, didYouMean(name, known));
}
