/**
 * The batch of a step that was not finite, kept to run the step again: `replay/step-N.json` says what it is, and
 * `replay/step-N.bin` has what the step was fed, and what micro-batches before it had added up. The JSON is written last:
 * a saved batch exists when it does.
 */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Progress } from "../contexts.ts";
import type { Feeds, HostArray } from "../engine/engine.ts";
import { errors } from "../errors.ts";
import { writeJsonAtomic } from "../run/atomic-file.ts";

export interface Replay extends Progress {
  /** The number of the micro-batch in its update, from 1, of `accumulation`. */
  readonly micro: number;
  readonly accumulation: number;
  /** Samples per update. */
  readonly batchSize: number;
  /** What the step gave. */
  readonly scalars: Readonly<Record<string, number>>;
  readonly feeds: Feeds;
  /** What micro-batches before it moved, by variable. */
  readonly state: ReadonlyMap<string, Float32Array>;
}

/** Where a run keeps them. */
export const replayFolder = (run: string): string => join(run, "replay");

const FORMAT = 1;
const TYPES = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const;
type TypeName = keyof typeof TYPES;

/** Values that lie one after the other in the binary file. */
interface StoredValues {
  readonly name: string;
  readonly type: TypeName;
  readonly length: number;
}

interface Manifest extends Omit<Replay, "feeds" | "state" | "scalars"> {
  readonly format: number;
  /** As text: JSON has no Infinity and no NaN. */
  readonly scalars: Readonly<Record<string, string>>;
  readonly feeds: readonly StoredValues[];
  readonly state: readonly StoredValues[];
  /** Of the binary file. */
  readonly sha256: string;
}

const nameOf = (step: number): string => `step-${String(step).padStart(8, "0")}`;

const bytesOf = (values: HostArray): Buffer =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** Gives the path of the JSON file. */
export async function writeReplay(folder: string, replay: Replay): Promise<string> {
  const { scalars, feeds, state, ...rest } = replay;
  const path = join(folder, nameOf(replay.step));
  await mkdir(folder, { recursive: true });
  const hash = createHash("sha256");
  const stored = async (
    values: Iterable<readonly [string, HostArray]>,
    write: (bytes: Buffer) => Promise<void>,
  ) => {
    const entries: StoredValues[] = [];
    for (const [name, own] of values) {
      await write(bytesOf(own));
      entries.push({ name, type: typeOf(own), length: own.length });
    }
    return entries;
  };
  try {
    const file = await open(`${path}.bin.part`, "w");
    let lists: Pick<Manifest, "feeds" | "state">;
    try {
      const write = async (bytes: Buffer) => {
        hash.update(bytes);
        await file.writeFile(bytes);
      };
      lists = { feeds: await stored(Object.entries(feeds), write), state: await stored(state, write) };
      await file.sync();
    } finally {
      await file.close();
    }
    await rm(`${path}.json`, { force: true });
    await rename(`${path}.bin.part`, `${path}.bin`);
    const texts = mapped(scalars, String);
    const manifest: Manifest = {
      format: FORMAT,
      ...rest,
      scalars: texts,
      ...lists,
      sha256: hash.digest("hex"),
    };
    writeJsonAtomic(`${path}.json`, manifest);
  } catch (error) {
    await rm(`${path}.bin.part`, { force: true });
    throw error;
  }
  return `${path}.json`;
}

function mapped<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

function typeOf(values: HostArray): TypeName {
  return (Object.keys(TYPES) as TypeName[]).find((name) => values instanceof TYPES[name])!;
}

/** The steps whose batches are kept, in order. */
export async function savedReplays(folder: string): Promise<number[]> {
  const files = await readdir(folder).catch(() => [] as string[]);
  return files
    .flatMap((file) => /^step-(\d+)\.json$/.exec(file)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Throws REPLAY_DAMAGED. */
export async function readReplay(folder: string, step: number): Promise<Replay> {
  const path = join(folder, nameOf(step));
  try {
    const { format, sha256, feeds, state, scalars, ...rest } = JSON.parse(
      await readFile(`${path}.json`, "utf8"),
    ) as Manifest;
    if (format !== FORMAT) throw new Error(`format ${format} is not known`);
    const all = [...feeds, ...state];
    const bytes = all.reduce((sum, { type, length }) => sum + TYPES[type].BYTES_PER_ELEMENT * length, 0);
    const { size } = await stat(`${path}.bin`);
    if (size !== bytes) throw new Error(`it has ${size} bytes, not ${bytes}`);
    const hash = createHash("sha256");
    const values = new Map<StoredValues, HostArray>();
    const file = await open(`${path}.bin`, "r");
    try {
      for (const entry of all) {
        const own = new TYPES[entry.type](entry.length);
        await readInto(file, bytesOf(own));
        hash.update(bytesOf(own));
        values.set(entry, own);
      }
    } finally {
      await file.close();
    }
    if (hash.digest("hex") !== sha256) throw new Error("the checksum does not match");
    return {
      ...rest,
      scalars: mapped(scalars, Number),
      feeds: Object.fromEntries(feeds.map((entry) => [entry.name, values.get(entry)!])),
      state: new Map(state.map((entry) => [entry.name, values.get(entry) as Float32Array])),
    };
  } catch (error) {
    throw errors.replayDamaged(`${path}.json`, error).because(error);
  }
}

async function readInto(file: Awaited<ReturnType<typeof open>>, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesRead } = await file.read(bytes, at, bytes.length - at);
    if (bytesRead === 0) throw new RangeError("the file ends too early");
    at += bytesRead;
  }
}
