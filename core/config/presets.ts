/** Runs with settings that work, by name: a start without a config file. */
import { errors } from "../errors.ts";
import { didYouMean } from "./did-you-mean.ts";
import type { RunConfig } from "./schema.ts";

export interface Preset {
  /** One line for lists. */
  readonly summary: string;
  readonly config: RunConfig;
}

/** Colour tells emoji apart, so it is changed less than on photos. */
const faint = (blur: number) => ({
  jitter: { saturation: 0.1, hue: 0.05 },
  grayscale: { p: 0.05 },
  blur: { p: blur, sigma: [0.1, 1] },
  solarise: { p: 0 },
});

export const presets: Readonly<Record<string, Preset>> = {
  "dino-emoji": {
    summary: "DINO, a small ViT on 3,822 emoji from two npm packages; minutes on a CPU",
    config: {
      name: "dino-emoji",
      data: { dataset: "emoji" },
      backbone: { arch: "vit", embedDim: 128, depth: 4, numHeads: 4, patchSize: 8 },
      train: { epochs: 10, batchSize: 64, lr: 4e-3, warmupEpochs: 1 },
      teacher: { momentum: 0.99 },
      evaluation: { knn: { everyEpochs: 2 } },
      plugins: [
        {
          use: "multi-crop",
          with: {
            globalCrops: { size: 64 },
            localCrops: { count: 4, size: 32, scale: [0.15, 0.5] },
            colour: { firstGlobal: faint(0.3), otherGlobals: faint(0.1), local: faint(0.1) },
          },
        },
        { use: "dino", with: { outDim: 1024, hiddenDim: 512, bottleneckDim: 128 } },
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
