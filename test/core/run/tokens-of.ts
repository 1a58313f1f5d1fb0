/** What a run's ViT makes of images, op by op on the present tfjs backend: no engine, no program, no batches. */
import * as tf from "@tensorflow/tfjs-core";
import { runSchema } from "../../../core/config/schema.ts";
import { silentLogger } from "../../../core/logger.ts";
import { backboneOf, findCheckpoint } from "../../../core/run/find-checkpoint.ts";
import type { RunFolder } from "../../../core/run/folder.ts";
import { VisionTransformer } from "../../../core/vit/vit.ts";

/** After the final norm. */
export interface Tokens {
  /** [B, D] */
  readonly cls: ArrayLike<number>;
  /** [B, N, D] */
  readonly patches: ArrayLike<number>;
}

/** @param pixels [B, S, S, channels], normalised, of the size that the run's positions are made for */
export async function tokensOf(
  run: RunFolder,
  pixels: tf.Tensor4D,
  which: { network?: string; checkpoint?: number } = {},
): Promise<Tokens> {
  const { backbone, data } = runSchema.parse(run.readConfig());
  const size = pixels.shape[1];
  const vit = new VisionTransformer({ ...backbone, imageSize: size, channels: data.channels });
  const checkpoint = await findCheckpoint(run, which.checkpoint, silentLogger);
  const { weights } = backboneOf(checkpoint, which.network);
  const parameters = (name: string) => tf.tensor(weights.get(name)!.values, [...weights.get(name)!.shape]);
  const tokens = vit.prepare(parameters, vit.patchify(parameters, pixels), vit.grid(size));
  const normed = vit.norm(parameters, vit.blocks(parameters, [{ tokens }])[0]!.tokens);
  const front = 1 + vit.registerTokens;
  return {
    cls: tf.slice(normed, [0, 0, 0], [-1, 1, -1]).dataSync(),
    patches: tf.slice(normed, [0, front, 0], [-1, -1, -1]).dataSync(),
  };
}
