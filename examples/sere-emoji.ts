/** The recipe sere-emoji as a TypeScript config: plugins are values, so their options are typed. */
import { defineConfig } from "relata";
import channelRelation from "relata/plugins/channel-relation";
import dino from "relata/plugins/dino";
import ibot from "relata/plugins/ibot";
import multiCrop from "relata/plugins/multi-crop";
import pixelRelation from "relata/plugins/pixel-relation";

/** Colour tells emoji apart, so it is changed less than on photos. */
const faint = (blur: number) => ({
  jitter: { saturation: 0.1, hue: 0.05 },
  grayscale: { p: 0.05 },
  blur: { p: blur, sigma: [0.1, 1] as [number, number] },
  solarise: { p: 0 },
});

/** DINO and iBOT share one head. The weights of the four losses sum to 4. */
const head = { weight: 1.65, outDim: 1024, hiddenDim: 512, bottleneckDim: 128, teacherTemp: 0.04 };

export default defineConfig({
  seed: 0,
  name: "sere-emoji",
  data: { dataset: "emoji" },
  backbone: { arch: "vit", embedDim: 128, depth: 4, numHeads: 4, patchSize: 8 },
  train: { epochs: 10, batchSize: 64, lr: 4e-3, warmupEpochs: 1 },
  teacher: { momentum: 0.99 },
  evaluation: { everyEpochs: 2 },
  plugins: [
    multiCrop({
      globalCrops: { size: 64 },
      localCrops: { count: 4, size: 32, scale: [0.15, 0.5] },
      colour: { firstGlobal: faint(0.3), otherGlobals: faint(0.1), local: faint(0.1) },
    }),
    dino(head),
    ibot({ ...head, warmupTeacherTempEpochs: 0 }),
    pixelRelation({ overlapSide: { global: 7, local: 4 } }), // 8 and 4 patches per side
    channelRelation(),
  ],
});
