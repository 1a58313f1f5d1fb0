/** The recipes that come with relata, by name: a start without a config file. */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { errors } from "../errors.ts";
import { packageRoot } from "../package-root.ts";
import { didYouMean } from "./did-you-mean.ts";

/** One file each; its head says paper, command, cost and what to expect. */
const RECIPES = join(packageRoot, "benchmarks", "recipes");
const ENDING = ".yaml";

/** In alphabetical order. */
export function presetNames(): string[] {
  return readdirSync(RECIPES)
    .filter((file) => file.endsWith(ENDING))
    .map((file) => basename(file, ENDING))
    .sort();
}

/** The recipe's file. Throws PRESET_UNKNOWN. */
export function findPreset(name: string): string {
  const names = presetNames();
  if (names.includes(name)) return join(RECIPES, `${name}${ENDING}`);
  throw errors.presetUnknown(name, names, didYouMean(name, names));
}
