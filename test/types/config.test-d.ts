/** Types of configs: what must compile and what must not. Checked by `tsc`, never run. */
import { defineConfig } from "../../core/config/load.ts";
import type { ResolvedConfig, RunConfig } from "../../core/config/schema.ts";
import { parseConfig } from "../../core/config/parse.ts";
import dino from "../../plugins/dino/index.ts";

const train = { epochs: 1, batchSize: 8 };

const smallest: RunConfig = { data: { path: "." }, train, plugins: ["dino"] };
defineConfig({
  data: { dataset: "emoji", channels: 1, mean: [0.5] },
  backbone: { arch: "vit-tiny", depth: 6 },
  train: { ...train, adam: { beta2: 0.95 }, clipGrad: null },
  plugins: ["multi-crop", { use: "./own.ts", with: { weight: 1 } }, dino({ weight: 2 })],
});

// @ts-expect-error -- a section's name
defineConfig({ trian: train, train, plugins: [] });
// @ts-expect-error -- a key's name
defineConfig({ train: { ...train, weightDecya: 1 }, plugins: [] });
// @ts-expect-error -- a key without a default is left out
defineConfig({ train: { epochs: 1 }, plugins: [] });
// @ts-expect-error -- a value's type
defineConfig({ train: { ...train, lr: "fast" }, plugins: [] });
// @ts-expect-error -- a choice
defineConfig({ train, backbone: { arch: "vit-huge" }, plugins: [] });
// @ts-expect-error -- a number of channels
defineConfig({ train, data: { channels: 2 }, plugins: [] });
// @ts-expect-error -- a plugin that is not called
defineConfig({ train, plugins: [dino] });
// @ts-expect-error -- an option's name
defineConfig({ train, plugins: [dino({ weigth: 2 })] });

const resolved: ResolvedConfig = parseConfig(smallest, ".");
const numbers: number[] = [resolved.train.microBatch, resolved.train.clipGrad, resolved.backbone.embedDim];
const again: RunConfig = {
  ...resolved,
  plugins: [...resolved.plugins.map((p) => ("use" in p ? { ...p } : p))],
};
// @ts-expect-error -- the default depends on the views
const size: number = resolved.backbone.imageSize;

export { again, numbers, size };
