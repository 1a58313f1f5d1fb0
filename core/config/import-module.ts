/** Imports files and packages of the user: configs and plugins in TypeScript or JavaScript. */
import module from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageFrom, resolve } from "./module-hooks.ts";

/** Newer than the oldest supported Node. */
const { registerHooks } = module as { registerHooks?: (hooks: { resolve: typeof resolve }) => void };

let prepared: Promise<void> | undefined;

/** Once per process: TypeScript can be imported, and `relata/plugin` is this relata. */
async function prepare(): Promise<void> {
  // A relata that runs from its own TypeScript already has a loader for it.
  if (!import.meta.url.endsWith(".ts")) (await import("tsx/esm/api")).register();
  if (registerHooks) registerHooks({ resolve });
  else module.register(import.meta.url.replace("import-module", "module-hooks"));
}

/** @param url of a file */
export async function importModule(url: string): Promise<Record<string, unknown>> {
  await (prepared ??= prepare());
  return (await import(url)) as Record<string, unknown>;
}

/** The URL of a package's entry point as a file in `folder` would import it; undefined where there is none. */
export async function findPackage(name: string, folder: string): Promise<string | undefined> {
  await (prepared ??= prepare());
  try {
    return import.meta.resolve(packageFrom(pathToFileURL(join(folder, "/")), name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}
