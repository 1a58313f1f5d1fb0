/** Files of weights of any form that relata reads, as networks of named tensors. */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errors } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { aboutWeights, type AboutWeights } from "./about.ts";
import { findWeights, folderAbout, labelOf } from "./find.ts";
import { networksOf, type NetworkRole, type StoredNetwork } from "./networks.ts";
import { openPyTorch } from "./pytorch.ts";
import { openSafetensors } from "./safetensors.ts";
import { readBytes, readingWeights, type SkippedTensor, type StoredTensors } from "./stored-tensor.ts";

/** The networks of a file. */
export interface Weights {
  /** The file. */
  readonly path: string;
  /** How it is told to people. */
  readonly label: string;
  /** At most one of each role, at least one. */
  readonly networks: readonly StoredNetwork[];
  readonly skipped: readonly SkippedTensor[];
  readonly about: AboutWeights;
}

/**
 * Opens weights by what a person names: a safetensors or PyTorch file, a folder with one, a run, or a checkpoint of
 * one. Values are read later.
 *
 * @throws what `findWeights` throws; WEIGHTS_FORMAT, WEIGHTS_DAMAGED
 */
export async function openWeights(named: string, logger?: Pick<Logger, "warn">): Promise<Weights> {
  const path = await findWeights(named, logger);
  const { tensors, skipped } = await readTensors(path);
  const networks = networksOf(tensors);
  if (networks.length === 0) {
    const some = tensors.slice(0, 3).map(({ name }) => name);
    const problem = `holds no vision transformer: it has no patch_embed.proj.weight${some.length > 0 ? `, but ${some.join(", ")} …` : ""}`;
    throw errors.weightsFormat(path, problem, "name a file with timm's or DINO's names of a ViT, or a run");
  }
  return { path, label: labelOf(path), networks, skipped, about: aboutWeights(folderAbout(path)) };
}

/** The network of that role; of a file that does not have it, the one that stands for it. */
export function networkFor({ networks }: Weights, role: NetworkRole): StoredNetwork {
  return networks.find((network) => network.role === role) ?? networks[0]!;
}

/** By what the file begins with: names end in anything. */
async function readTensors(path: string): Promise<StoredTensors> {
  if (path.endsWith(".index.json")) return readShards(path);
  const { size } = await stat(path);
  const first = await readingWeights(path, async () =>
    Buffer.from(await readBytes(path, 0, Math.min(9, size))),
  );
  if (first.subarray(0, 2).toString() === "PK") return openPyTorch(path);
  if (first[8] === "{".charCodeAt(0)) return openSafetensors(path);
  if (first.subarray(0, 8).equals(OLD_PYTORCH)) {
    const fix = "open it with PyTorch and save it again: torch.save(torch.load(old), new)";
    throw errors.weightsFormat(path, "is in the form that torch.save wrote before PyTorch 1.6", fix);
  }
  const problem = "is neither a safetensors file nor one of torch.save";
  throw errors.weightsFormat(path, problem, "name a .safetensors or .pth file, a folder with one, or a run");
}

/** A pickle of the number 0x1950a86a20f9469cfc6c. */
const OLD_PYTORCH = Buffer.from("80028a0a6cfc9c46", "hex");

/** An index in an index would have no end. */
async function allFiles(paths: readonly string[]): Promise<boolean> {
  const found = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
  return found.every((info, i) => info?.isFile() && !paths[i]!.endsWith(".index.json"));
}

/** Hugging Face's index of a model that lies in several files: { "weight_map": { name: file } }. */
async function readShards(path: string): Promise<StoredTensors> {
  const files = await readingWeights(path, async () => {
    const { weight_map: map } = JSON.parse(await readFile(path, "utf8")) as { weight_map?: unknown };
    const names = new Set(Object.values(map ?? {}));
    const inFolder = (name: unknown): name is string => typeof name === "string" && basename(name) === name;
    const shards = [...names].filter(inFolder).map((name) => join(dirname(path), name));
    if (shards.length === 0 || shards.length < names.size || !(await allFiles(shards)))
      throw new Error("it does not list files beside it");
    return shards;
  });
  const shards: StoredTensors[] = [];
  for (const file of files) shards.push(await readTensors(file));
  return {
    tensors: shards.flatMap(({ tensors }) => tensors),
    skipped: shards.flatMap(({ skipped }) => skipped),
  };
}
