/** A run folder as training leaves it, without training: a config, and checkpoints with random weights. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Backbone } from "../../../core/backbone.ts";
import { runSchema, type RunConfig } from "../../../core/config/schema.ts";
import { Random } from "../../../core/random.ts";
import { RunFolder } from "../../../core/run/folder.ts";
import { FolderCheckpoints } from "../../../core/trainer/checkpoint.ts";
import type { NamedTensor } from "../../../core/trainer/safetensors.ts";
import { VisionTransformer } from "../../../core/vit/vit.ts";

export interface TinyCheckpointOptions {
  readonly backbone?: Partial<NonNullable<RunConfig["backbone"]>>;
  readonly data?: Partial<NonNullable<RunConfig["data"]>>;
  readonly networks?: readonly string[];
  /** Of each, a checkpoint; the weights depend on it. */
  readonly steps?: readonly number[];
  /** Of the views. */
  readonly size?: number;
  /** Besides multi-crop and dino. */
  readonly plugins?: RunConfig["plugins"];
  /** What a plugin binds in the place of the ViT. */
  readonly brought?: Pick<Backbone, "parameters">;
}

/** Makes the run `base/run`: a ViT of 2 blocks and width 24 on views of 32 pixels, trained by DINO as it says. */
export async function tinyCheckpoint(base: string, options: TinyCheckpointOptions = {}): Promise<RunFolder> {
  const { networks = ["student", "teacher"], steps = [5, 10], size = 32 } = options;
  const folder = join(base, "run");
  const written: RunConfig = {
    data: { path: "images", ...options.data },
    backbone: {
      ...{ arch: "vit", embedDim: 24, depth: 2, numHeads: 2, mlpRatio: 2, patchSize: 8 },
      ...options.backbone,
    },
    train: { epochs: 1, batchSize: 2, engine: "eager", backend: "cpu" },
    plugins: [{ use: "multi-crop", with: { globalCrops: { size } } }, "dino", ...(options.plugins ?? [])],
  };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.resolved.json"), JSON.stringify(written));

  const { backbone, data } = runSchema.parse(written);
  const made =
    options.brought ?? new VisionTransformer({ ...backbone, imageSize: size, channels: data.channels });
  const store = new FolderCheckpoints(join(folder, "checkpoints"), { keepLast: Infinity });
  for (const step of steps) {
    const tensors = networks.flatMap((network) =>
      made.parameters().map(({ name, shape }): NamedTensor => {
        const random = new Random(step, network, name);
        // Norm weights about 1, as trained ones are.
        const mean = name.endsWith("norm.weight") || /norm\d\.weight$/.test(name) ? 1 : 0;
        const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
        return {
          name: `${network}/backbone.${name}`,
          shape,
          values: values.map(() => mean + 0.2 * random.normal()),
        };
      }),
    );
    const others = [
      { name: "student/dino.head.weight", shape: [2], values: new Float32Array(2) },
      { name: "adam.m/backbone.norm.weight", shape: [24], values: new Float32Array(24) },
    ];
    const settings = { config: {}, plugins: { "multi-crop": {}, dino: {} } };
    const info = { step, epoch: 1, dataset: "", settings, notes: {} };
    await store.save({ ...info, tensors: [...tensors, ...others] });
  }
  return RunFolder.open(folder);
}
