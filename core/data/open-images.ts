/** The datasets of files: a folder of images, tar shards, parquet. */
import { errors } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { openImageFolder } from "./image-folder.ts";
import { kindOfImages, type ImageSet } from "./kind-of-images.ts";
import { openParquet } from "./parquet-dataset.ts";
import { openWebDataset } from "./web-dataset.ts";

export interface OpenImagesOptions {
  /** At most this many images, evenly spaced. */
  readonly limit?: number;
  /** What it is; found out by the path unless given. */
  readonly dataset?: ImageSet;
}

/**
 * Opens images where they are: a folder of image files, of tar shards or of parquet files, one such file, a pattern, or
 * a list of them.
 *
 * @throws what openImageFolder, openWebDataset and openParquet throw
 */
export async function openImages(
  paths: string | readonly string[],
  { limit, dataset }: OpenImagesOptions = {},
): Promise<Dataset> {
  switch (dataset ?? (await kindOfImages(paths))) {
    case "webdataset":
      return openWebDataset(paths, { limit });
    case "parquet":
      return openParquet(paths, { limit });
    case "image-folder": {
      const [path = "", ...others] = [paths].flat();
      if (others.length > 0) throw errors.configInvalid("data.path", "an image-folder is one folder");
      return openImageFolder(path, { limit });
    }
  }
}
