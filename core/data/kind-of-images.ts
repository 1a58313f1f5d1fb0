/** What kind of images lie at a path. */
import { readdir, stat } from "node:fs/promises";
import { extname } from "node:path";
import { IMAGE_EXTENSIONS } from "./image-folder.ts";

const IMAGE_SETS = ["image-folder", "webdataset", "parquet"] as const;

/** What `data.dataset` calls them. */
export type ImageSet = (typeof IMAGE_SETS)[number];

export function isImageSet(name: string): name is ImageSet {
  return (IMAGE_SETS as readonly string[]).includes(name);
}

/** By the ending of the first path; of a folder, by the files that lie in it: images come first. */
export async function kindOfImages(paths: string | readonly string[]): Promise<ImageSet> {
  const [path = ""] = [paths].flat();
  const info = await stat(path).catch(() => undefined);
  const names = info?.isDirectory() ? await readdir(path).catch(() => []) : [path];
  const extensions = new Set(names.map((name) => extname(name).toLowerCase()));
  if (IMAGE_EXTENSIONS.some((extension) => extensions.has(extension))) return "image-folder";
  if (extensions.has(".tar")) return "webdataset";
  return extensions.has(".parquet") ? "parquet" : "image-folder";
}
