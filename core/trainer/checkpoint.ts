/**
 * The CHECKPOINTS service. A checkpoint is two files in one folder: `step-N.safetensors` with every variable and
 * `step-N.json` with the rest and the tensors' checksum. The JSON is renamed into place last: a checkpoint
 * exists when it does.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { readSafetensors, writeSafetensors, type NamedTensor } from "./safetensors.ts";

/** What a checkpoint says besides its tensors. */
export interface CheckpointInfo {
  /** Updates done. */
  readonly step: number;
  readonly epoch: number;
  readonly seed: number;
  /** Of the dataset's item list. */
  readonly dataset: string;
  /** Samples per update: epochs and the order of images depend on it. */
  readonly batchSize: number;
  /** Names of the plugins that trained it, in the order in which they are applied; also of those without weights. */
  readonly plugins: readonly string[];
  /** Figures that a resumed run cannot compute again, such as the untrained backbone's. */
  readonly notes: Readonly<Record<string, unknown>>;
}

/** The whole state of a run. */
export interface Checkpoint extends CheckpointInfo {
  readonly tensors: readonly NamedTensor[];
}

/** What CHECKPOINTS is bound to. */
export interface CheckpointStore {
  /** Gives the path of what was saved. Throws CHECKPOINT_WRITE; what was there before stays. */
  save(checkpoint: Checkpoint): Promise<string>;
  /** The newest whole checkpoint; a damaged one is passed over with a warning. */
  latest(onDamaged: (error: Error) => void): Promise<Checkpoint | undefined>;
}

const FORMAT = 1;

interface Manifest extends CheckpointInfo {
  readonly format: number;
  readonly sha256: string;
}

/** Of a checkpoint's files, without their endings. */
export const checkpointName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

export class FolderCheckpoints implements CheckpointStore {
  private readonly folder: string;
  private readonly keepLast: number;

  constructor(folder: string, keepLast: number) {
    this.folder = folder;
    this.keepLast = keepLast;
  }

  async save({ tensors, ...info }: Checkpoint): Promise<string> {
    const name = checkpointName(info.step);
    const path = join(this.folder, name);
    try {
      await mkdir(this.folder, { recursive: true });
      const sha256 = await writeSafetensors(`${path}.safetensors.part`, tensors, { format: "relata" });
      await rename(`${path}.safetensors.part`, `${path}.safetensors`);
      const manifest: Manifest = { format: FORMAT, ...info, sha256 };
      await writeFile(`${path}.json.part`, JSON.stringify(manifest, null, 2), { flush: true });
      await rename(`${path}.json.part`, `${path}.json`);
      await this.removeOthers(name);
    } catch (error) {
      // What is half written would take up the space that is missing.
      const parts = ["safetensors", "json"].map((kind) => rm(`${path}.${kind}.part`, { force: true }));
      await Promise.allSettled(parts);
      throw errors.checkpointWrite(path, error).because(error);
    }
    return `${path}.json`;
  }

  async latest(onDamaged: (error: Error) => void): Promise<Checkpoint | undefined> {
    for (const name of (await this.names()).reverse()) {
      try {
        return await readCheckpoint(join(this.folder, `${name}.json`));
      } catch (error) {
        onDamaged(error as Error);
      }
    }
    return undefined;
  }

  /** Of the whole checkpoints, ascending. */
  async steps(): Promise<number[]> {
    return (await this.names()).map((name) => Number(name.slice("step-".length)));
  }

  /** Whole checkpoints by name, oldest first. */
  private async names(): Promise<string[]> {
    const files = await readdir(this.folder).catch(() => [] as string[]);
    return files
      .filter((f) => /^step-\d+\.json$/.test(f))
      .map((f) => f.slice(0, -".json".length))
      .sort();
  }

  /** All but the last ones. Those of later steps are what training went back from: they were damaged. */
  private async removeOthers(newest: string): Promise<void> {
    const names = await this.names();
    const kept = names.filter((name) => name <= newest).slice(-this.keepLast);
    for (const name of names.filter((name) => !kept.includes(name))) {
      await rm(join(this.folder, `${name}.json`));
      await rm(join(this.folder, `${name}.safetensors`), { force: true });
    }
  }
}

/** Reads one checkpoint by its JSON file. Throws CHECKPOINT_DAMAGED. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  try {
    const { format, sha256, ...info } = JSON.parse(await readFile(path, "utf8")) as Manifest;
    if (format !== FORMAT) throw new Error(`format ${format} is not known`);
    const file = await readSafetensors(path.replace(/\.json$/, ".safetensors"));
    if (file.sha256 !== sha256) throw new Error("the checksum does not match");
    return { ...info, tensors: [...file.tensors.values()] };
  } catch (error) {
    throw errors.checkpointDamaged(path, error).because(error);
  }
}

/** The values by variable name, if they are this model's. Throws CHECKPOINT_MISMATCH listing the differences. */
export function valuesFor(
  checkpoint: Pick<Checkpoint, "tensors">,
  variables: readonly { readonly name: string; readonly shape: readonly number[] }[],
): Map<string, Float32Array> {
  const saved = new Map(checkpoint.tensors.map((t) => [t.name, t]));
  const wanted = new Set(variables.map((v) => v.name));
  const missing = variables.filter((v) => !saved.has(v.name)).map((v) => v.name);
  const unexpected = [...saved.keys()].filter((name) => !wanted.has(name));
  const reshaped = variables
    .filter((v) => saved.has(v.name) && saved.get(v.name)!.shape.join() !== v.shape.join())
    .map((v) => `${v.name} [${saved.get(v.name)!.shape.join(", ")}] here [${v.shape.join(", ")}]`);
  if (missing.length + unexpected.length + reshaped.length > 0) {
    throw errors.checkpointMismatch(missing, unexpected, reshaped);
  }
  return new Map(checkpoint.tensors.map((t) => [t.name, t.values]));
}
