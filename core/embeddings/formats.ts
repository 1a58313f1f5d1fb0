/** Which file a name asks for. */
import { extname } from "node:path";
import { errors } from "../errors.ts";
import type { FeatureFormat } from "./feature-writer.ts";

/** By the ending of the file's name; what a format needs is loaded when it is used. */
const FORMATS: Readonly<Record<string, () => Promise<FeatureFormat>>> = {
  ".parquet": async () => (await import("./parquet.ts")).parquet,
  ".npy": async () => (await import("./npy.ts")).npy,
  ".safetensors": async () => (await import("./safetensors.ts")).safetensors,
};

/** @throws OUTPUT_FORMAT for another ending */
export async function featureFormat(out: string): Promise<FeatureFormat> {
  const load = FORMATS[extname(out).toLowerCase()];
  if (!load) throw errors.outputFormat(out, Object.keys(FORMATS));
  return load();
}
