/** Dense evaluation of a run: whose foreground is known, fitted to one half and tested on the other. */
import { ALPHA } from "../config/schema.ts";
import { evenlySpaced } from "../data/dataset.ts";
import { alphaMasks, folderMasks, loadMasks, type MaskSource } from "../data/masks.ts";
import { errors } from "../errors.ts";
import { denseTask } from "../eval/dense.ts";
import type { MaskedSet } from "../eval/segmentation.ts";
import type { Task } from "../eval/task.ts";
import type { EvaluationSubject } from "./evaluation-subject.ts";
import { imageOptions, loadSet, type LoadedSet } from "./image-sets.ts";

/** Fitted to Google's drawings, tested on Twitter's. None where the config says so. */
export async function emojiDense(
  assembly: EvaluationSubject,
  { google, twitter }: { readonly google: LoadedSet; readonly twitter: LoadedSet },
  crop: string,
): Promise<Task[]> {
  const source = await maskSource(assembly, alphaMasks);
  if (!source) return [];
  return [await task(assembly, source, google, twitter, crop)];
}

/** Fitted to every other image that has a mask, tested on the rest. None unless the config names masks. */
export async function folderDense(
  assembly: EvaluationSubject,
  limit: number,
  size: number,
  crop: string,
): Promise<Task[]> {
  const source = await maskSource(assembly);
  if (!source) return [];
  const { dataset, logger } = assembly;
  const all = Array.from({ length: dataset.size }, (_, i) => i);
  const masked = all.filter((i) => source.has(dataset.item(i)));
  if (masked.length < 2) throw errors.masksMissing(source.name, masked.length, dataset.size);
  if (masked.length < dataset.size) {
    const missing = `${dataset.size - masked.length} of ${dataset.size} images have no mask (${source.name})`;
    logger.warn(`${missing}: dense evaluation leaves them out`);
  }
  const chosen = evenlySpaced(masked, Math.max(2, limit));
  const half = (first: number, name: string) =>
    loadSet(
      assembly,
      `${name} of ${dataset.name}`,
      chosen.filter((_, i) => i % 2 === first),
      size,
    );
  return [await task(assembly, source, await half(0, "one half"), await half(1, "other half"), crop)];
}

/** Where the config says that the masks are. */
async function maskSource(
  { config: { evaluation } }: EvaluationSubject,
  own?: MaskSource,
): Promise<MaskSource | undefined> {
  if (evaluation.dense === false) return undefined;
  const { masks } = evaluation.dense;
  if (masks === undefined) return own;
  return masks === ALPHA ? alphaMasks : folderMasks(masks);
}

async function task(
  assembly: EvaluationSubject,
  source: MaskSource,
  fit: LoadedSet,
  test: LoadedSet,
  crop: string,
): Promise<Task> {
  const masked = async ({ images, indices }: LoadedSet): Promise<MaskedSet> => {
    const options = imageOptions(assembly, images.size);
    return { images, masks: await loadMasks(source, assembly.dataset, indices, options) };
  };
  return denseTask({
    fit: await masked(fit),
    test: await masked(test),
    masks: source.name,
    crop,
    seed: assembly.config.seed,
  });
}
