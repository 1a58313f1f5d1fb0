/** Files of weights of any form that relata reads, as networks of named tensors. */
import { errors } from "../errors.ts";
import { aboutWeights, type AboutWeights } from "./about.ts";
import { findWeights, folderAbout } from "./find.ts";
import { networksOf, type StoredNetwork } from "./networks.ts";
import { openSafetensors } from "./safetensors.ts";
import { readBytes, readingWeights, type SkippedTensor, type StoredTensors } from "./stored-tensor.ts";

/** The networks of a file. */
export interface Weights {
  /** The file. */
  readonly path: string;
  /** At most one of each role, at least one. */
  readonly networks: readonly StoredNetwork[];
  readonly skipped: readonly SkippedTensor[];
  readonly about: AboutWeights;
}

/**
 * Opens weights by what a person names: a safetensors or PyTorch file, a folder with one, a run, or a checkpoint of
 * one. Values are read later.
 *
 * @throws WEIGHTS_MISSING, WEIGHTS_FORMAT, WEIGHTS_DAMAGED
 */
export async function openWeights(named: string): Promise<Weights> {
  const path = findWeights(named);
  const { tensors, skipped } = await readTensors(path);
  const networks = networksOf(tensors);
  if (networks.length === 0) {
    const some = tensors.slice(0, 3).map(({ name }) => name);
    const problem = `holds no vision transformer: it has no patch_embed.proj.weight${some.length > 0 ? `, but ${some.join(", ")} …` : ""}`;
    throw errors.weightsFormat(path, problem, "name a file with timm's or DINO's names of a ViT, or a run");
  }
  return { path, networks, skipped, about: aboutWeights(folderAbout(path)) };
}

/** The network of that role; of a file that does not have it, the one that stands for it. */
export function networkFor({ networks }: Weights, role: "student" | "teacher"): StoredNetwork {
  return networks.find((network) => network.role === role) ?? networks[0]!;
}

async function readTensors(path: string): Promise<StoredTensors> {
  const first = await readingWeights(path, async () => Buffer.from(await readBytes(path, 0, 9)));
  if (first[8] === "{".charCodeAt(0)) return openSafetensors(path);
  throw errors.weightsFormat(
    path,
    "is neither a safetensors file nor one of PyTorch",
    "name a .safetensors or .pth file",
  );
}
