/** Runs with settings that work, by name: a start without a config file. */
import { errors } from "../errors.ts";
import { didYouMean } from "./did-you-mean.ts";
import type { RunConfig } from "./schema.ts";

export interface Preset {
  /** One line for lists. */
  readonly summary: string;
  readonly config: RunConfig;
}

export const presets: Readonly<Record<string, Preset>> = {
  "dino-emoji": {
    summary: "DINO, a small ViT on 3,822 emoji of 64 pixels that come with relata; minutes on a CPU",
    config: {
      name: "dino-emoji",
      data: { dataset: "emoji" },
      backbone: { arch: "vit-tiny", depth: 6, patchSize: 8 },
      train: { epochs: 20, batchSize: 64, lr: 2e-3, warmupEpochs: 2, weightDecayEnd: 0.1 },
      plugins: [
        {
          use: "multi-crop",
          with: { globalCrops: { size: 64 }, localCrops: { count: 4, size: 32, scale: [0.1, 0.4] } },
        },
        { use: "dino", with: { outDim: 2048, hiddenDim: 512 } },
      ],
    },
  },
  "dino-small": {
    summary: "DINO, ViT-S/16 on a folder of photos at 224 pixels; made for a GPU",
    config: {
      name: "dino-small",
      data: { dataset: "image-folder" },
      backbone: { arch: "vit-small", patchSize: 16, dropPathRate: 0.1 },
      train: { epochs: 100, batchSize: 256, microBatch: 64, precision: "bf16" },
      plugins: ["multi-crop", { use: "dino", with: { teacherTemp: 0.07, warmupTeacherTempEpochs: 30 } }],
    },
  },
};

/** @throws PRESET_UNKNOWN */
export function findPreset(name: string): Preset {
  const preset = Object.hasOwn(presets, name) ? presets[name] : undefined;
  if (preset) return preset;
  const known = Object.keys(presets);
  throw errors.presetUnknown(name, known, didYouMean(name, known));
}
