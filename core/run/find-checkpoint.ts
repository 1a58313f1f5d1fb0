/** Which state of a run is meant, and which of its networks. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  checkpointName,
  FolderCheckpoints,
  newestCheckpoint,
  readCheckpoint,
  type Checkpoint,
} from "../trainer/checkpoint.ts";
import { STUDENT, TEACHER } from "../trainer/declarations.ts";
import type { NamedTensor } from "../trainer/safetensors.ts";
import type { RunFolder } from "./folder.ts";

/**
 * A run's checkpoint: by its step, by the path of its .json or .safetensors file, "best" for the one that is marked so,
 * or the newest whole one.
 *
 * @throws CHECKPOINT_MISSING, CHECKPOINT_BEST, CHECKPOINT_STEP, CHECKPOINT_DAMAGED
 */
export async function findCheckpoint(
  run: RunFolder,
  wanted: number | string | undefined,
  logger: Pick<Logger, "warn">,
): Promise<Checkpoint> {
  const store = new FolderCheckpoints(run.checkpoints, { keepLast: Infinity });
  if (wanted === undefined) {
    const newest = await newestCheckpoint(store, logger);
    if (!newest) throw errors.checkpointMissing(run.path);
    return newest;
  }
  if (wanted === "best") {
    const best = await store.best();
    if (!best) throw errors.checkpointBest(run.path);
    return readCheckpoint(join(run.checkpoints, `${checkpointName(best.step)}.json`));
  }
  if (typeof wanted === "string" && !/^\d+$/.test(wanted)) {
    const path = wanted.replace(/\.safetensors$/, ".json");
    if (!existsSync(path)) throw errors.checkpointMissing(path);
    return readCheckpoint(path);
  }
  const step = Number(wanted);
  const path = join(run.checkpoints, `${checkpointName(step)}.json`);
  if (!existsSync(path)) throw errors.checkpointStep(run.path, step, await store.steps());
  return readCheckpoint(path);
}

/**
 * The backbone of a checkpoint's network, by the backbone's own names. Throws CHECKPOINT_NETWORK.
 *
 * @param wanted by default the teacher, or the student where there is none
 */
export function backboneOf(
  { tensors }: Checkpoint,
  wanted: string | undefined,
): { network: string; weights: ReadonlyMap<string, NamedTensor> } {
  const byNetwork = new Map<string, Map<string, NamedTensor>>();
  for (const tensor of tensors) {
    const [, network, name] = /^([^/.]+)\/backbone\.(.+)$/.exec(tensor.name) ?? [];
    if (network === undefined || name === undefined) continue;
    const weights = byNetwork.get(network) ?? new Map<string, NamedTensor>();
    byNetwork.set(network, weights.set(name, { ...tensor, name }));
  }
  const network = wanted ?? (byNetwork.has(TEACHER) ? TEACHER : STUDENT);
  const weights = byNetwork.get(network);
  if (!weights) throw errors.checkpointNetwork(network, [...byNetwork.keys()]);
  return { network, weights };
}
