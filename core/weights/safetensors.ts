/** Tensors of a safetensors file, of any type. */
import { open } from "node:fs/promises";
import { readSafetensorsHeader } from "../trainer/safetensors.ts";
import { elementType } from "./element-types.ts";
import {
  readBytes,
  readingWeights,
  type SkippedTensor,
  type StoredTensor,
  type StoredTensors,
} from "./stored-tensor.ts";

/** Reads the header alone. Throws WEIGHTS_DAMAGED. */
export async function openSafetensors(path: string): Promise<StoredTensors> {
  const entries = await readingWeights(path, async () => {
    const file = await open(path, "r");
    try {
      return (await readSafetensorsHeader(file)).entries;
    } finally {
      await file.close();
    }
  });
  const tensors: StoredTensor[] = [];
  const skipped: SkippedTensor[] = [];
  for (const { name, dtype, shape, from, to } of entries) {
    const type = elementType(dtype);
    if (!type) {
      skipped.push({ name, reason: dtype });
      continue;
    }
    const read = () =>
      readingWeights(path, async () => type.toFloat32(await readBytes(path, from, to - from)));
    tensors.push({ name, shape, read });
  }
  return { tensors, skipped };
}
