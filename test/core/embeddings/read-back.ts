/** Readers of the files of features, other than what wrote them. */
import { readFileSync } from "node:fs";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import type { FinishedCard } from "../../../core/embeddings/feature-writer.ts";
import { readSafetensors } from "../../../core/trainer/safetensors.ts";

export interface ReadBack {
  readonly paths: string[];
  /** Where there are any. */
  readonly labels: (number | undefined)[];
  readonly shape: number[];
  readonly features: Float32Array;
  readonly card: FinishedCard;
}

export async function readBack(path: string): Promise<ReadBack> {
  if (path.endsWith(".parquet")) return readParquet(path);
  const rows = readFileSync(`${path}.items.jsonl`, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { path: string; label?: number });
  const items = { paths: rows.map(({ path }) => path), labels: rows.map(({ label }) => label) };
  return { ...items, ...(path.endsWith(".npy") ? readNpy(path) : await readOneTensor(path)) };
}

/** numpy.lib.format, version 1.0. */
function readNpy(path: string) {
  const bytes = readFileSync(path);
  if (bytes.toString("latin1", 0, 8) !== "\x93NUMPY\x01\x00") throw new Error("no .npy file");
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, start);
  const match = /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(([\d, ]+)\), \} *\n$/.exec(header);
  if (!match || start % 64 !== 0) throw new Error(`not a header: ${header}`);
  const shape = match[1]!.split(", ").map(Number);
  const card = JSON.parse(readFileSync(`${path}.card.json`, "utf8")) as FinishedCard;
  return { shape, card, features: new Float32Array(new Uint8Array(bytes.subarray(start)).buffer) };
}

async function readOneTensor(path: string) {
  const { tensors } = await readSafetensors(path);
  const { shape, values } = tensors.get("features")!;
  const bytes = readFileSync(path);
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + Number(bytes.readBigUInt64LE()))) as {
    __metadata__: { format: string; relata: string };
  };
  return {
    shape: [...shape],
    features: values,
    card: JSON.parse(header.__metadata__.relata) as FinishedCard,
  };
}

async function readParquet(path: string): Promise<ReadBack> {
  const file = await asyncBufferFromFile(path);
  const { key_value_metadata: pairs = [] } = await parquetMetadataAsync(file);
  const card = JSON.parse(pairs.find(({ key }) => key === "relata")!.value!) as FinishedCard;
  const rows = (await parquetReadObjects({ file })) as { path: string; label?: number; feature: number[] }[];
  return {
    paths: rows.map(({ path }) => path),
    labels: rows.map(({ label }) => label),
    shape: [rows.length, ...card.shape],
    features: Float32Array.from(rows.flatMap(({ feature }) => feature)),
    card,
  };
}
