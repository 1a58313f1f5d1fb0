/** dino-emoji.yaml as a TypeScript config: plugins are values, so their options are typed. */
import { defineConfig } from "relata";
import dino from "relata/plugins/dino";
import multiCrop from "relata/plugins/multi-crop";

export default defineConfig({
  name: "dino-emoji",
  data: { dataset: "emoji" },
  backbone: { arch: "vit-tiny", depth: 6, patchSize: 8 },
  train: { epochs: 20, batchSize: 64, lr: 2e-3, warmupEpochs: 2, weightDecayEnd: 0.1 },
  plugins: [
    multiCrop({ globalCrops: { size: 64 }, localCrops: { count: 4, size: 32, scale: [0.1, 0.4] } }),
    dino({ outDim: 2048, hiddenDim: 512 }),
  ],
});
