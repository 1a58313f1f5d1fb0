/** Views of one's own: further crops of each image, of a brightness drawn for each. */
import { definePlugin, tf, z } from "relata/plugin";

export default definePlugin(
  {
    name: "my-plugin",
    api: "^1",
    summary: "Further crops of each image, brighter or darker.",
    options: z.strictObject({
      count: z.int().positive().default(2).describe("crops of an image"),
      size: z.int().positive().default(96).describe("side in pixels, a multiple of the patch size"),
      brightness: z.number().min(0).max(1).default(0.4).describe("the largest change"),
    }),
  },
  (hooks, { name, options: { count, size, brightness } }) => {
    const group = name;
    hooks.views.tap(name, (views) => [
      ...views,
      { group, count, size, scale: [0.2, 0.8], ratio: [3 / 4, 4 / 3], flip: 0.5 },
    ]);
    // What varies by step is drawn on the host, by sample and view, and fed to the graph. Rows are view-major.
    hooks.setup.tap(name, (setup) => {
      const factors = setup.input("brightness", {
        shape: [count * setup.run.batchSize, 1, 1, 1],
        sample: ({ indices, random }) =>
          Float32Array.from({ length: count * indices.length }, (_, row) => {
            const view = Math.floor(row / indices.length);
            return 1 + random(indices[row % indices.length]!, view).uniform(-brightness, brightness);
          }),
      });
      // In the graph: pixels are [count * B, size, size, C] in 0..1, and stay so.
      hooks.augment.tap(name, (pixels, step) =>
        step.views.group === group ? tf.clipByValue(tf.mul(pixels, step.value(factors)), 0, 1) : pixels,
      );
    });
  },
);
