/** From what a person names to the file of weights: a file, a folder of a model, a run, or a checkpoint of one. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { errors } from "../errors.ts";
import { silentLogger, type Logger } from "../logger.ts";
import { RUN_FILES } from "../report/runs.ts";
import {
  checkpointName,
  FolderCheckpoints,
  newestCheckpoint,
  readCheckpoint,
} from "../trainer/checkpoint.ts";

/** What models' folders call the file, the best first. */
const MODEL_FILES = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];
const KNOWN_ENDINGS = /\.(safetensors|pth|pth\.tar|pt|bin|ckpt)$/;
const CHECKPOINT = /^step-\d+\.json$/;

/**
 * The file, by its path or, for a run, by its name in "runs". Of a run, the newest whole checkpoint; those that are
 * passed over are told.
 *
 * @throws WEIGHTS_MISSING, or CHECKPOINT_DAMAGED where a run's checkpoint is not whole that is named, or none is
 */
export async function findWeights(
  named: string,
  logger: Pick<Logger, "warn"> = silentLogger,
  runs = "runs",
): Promise<string> {
  const place = [named, join(runs, named)].find((path) => existsSync(path));
  if (place === undefined) throw errors.weightsMissing(resolve(named), "there is nothing", []);
  const path = resolve(place);
  if (!statSync(path).isDirectory()) {
    if (!CHECKPOINT.test(basename(path))) return path;
    await readCheckpoint(path);
    return path.replace(/\.json$/, ".safetensors");
  }
  const files = readdirSync(path);
  if (files.includes(RUN_FILES.config)) return newestOf(path, logger);
  const model = MODEL_FILES.find((name) => files.includes(name));
  if (model !== undefined) return join(path, model);
  const known = files.filter((name) => KNOWN_ENDINGS.test(name));
  if (known.length === 1) return join(path, known[0]!);
  const problem = known.length === 0 ? "no file of weights lies" : "several files of weights lie";
  throw errors.weightsMissing(path, problem, known.slice(0, 5));
}

async function newestOf(run: string, logger: Pick<Logger, "warn">): Promise<string> {
  const folder = join(run, "checkpoints");
  const newest = await newestCheckpoint(new FolderCheckpoints(folder, { keepLast: Infinity }), logger);
  if (!newest) throw errors.weightsMissing(run, "there is no checkpoint", []);
  return join(folder, `${checkpointName(newest.step)}.safetensors`);
}

/** How the weights are told to people: "dino.pth", or "my-run after 1200 steps". */
export function labelOf(file: string): string {
  const step = /^step-0*(\d+)\.safetensors$/.exec(basename(file))?.[1];
  return step === undefined
    ? basename(file)
    : `${basename(dirname(dirname(file)))} after ${step} ${step === "1" ? "step" : "steps"}`;
}

/** The folder that says more of the weights of this file: the run of a checkpoint, or where the file lies. */
export function folderAbout(file: string): string {
  const run = dirname(dirname(file));
  return existsSync(join(run, RUN_FILES.config)) ? run : dirname(file);
}
