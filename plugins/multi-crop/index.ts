/**
 * The views of DINO (arXiv 2104.14294, section 3.1; augmentation of BYOL, arXiv 2006.07733, appendix B): a few
 * global and several local crops of each image, with flips, colour jitter, grayscale, blur and solarisation.
 */
import { definePlugin, tf, z, type ViewGroupSpec } from "../../core/plugin.ts";
import { applyColour, colourStages } from "./colour.ts";
import {
  ColourLayout,
  firstGlobalColour,
  localColour,
  sampleColour,
  secondGlobalColour,
  type ColourSpec,
} from "./sampling.ts";

const cropSchema = (count: number, size: number, scale: [number, number]) =>
  z
    .strictObject({
      count: z.int().nonnegative().default(count).describe("crops of each image"),
      size: z.int().positive().default(size).describe("side of the view in pixels"),
      scale: z
        .tuple([z.number().positive(), z.number().positive().max(1)])
        .refine(([low, high]) => low <= high, "the range is [smallest, largest]")
        .default(scale)
        .describe("range of the crop's area, as a part of the image"),
      ratio: z
        .tuple([z.number().positive(), z.number().positive()])
        .refine(([low, high]) => low <= high, "the range is [smallest, largest]")
        .default([3 / 4, 4 / 3])
        .describe("range of width over height"),
      flip: z.number().min(0).max(1).default(0.5).describe("probability of mirroring left and right"),
    })
    .prefault({});

export default definePlugin(
  {
    name: "multi-crop",
    api: "^1",
    summary: "Global and local crops of each image, augmented as in DINO.",
    paper: "https://arxiv.org/abs/2104.14294",
    options: z.strictObject({
      globalCrops: cropSchema(2, 224, [0.4, 1])
        .refine(({ count }) => count > 0, "at least one global crop")
        .describe("the view group global, which all networks see"),
      localCrops: cropSchema(8, 96, [0.05, 0.4]).describe(
        "the view group local, which the student sees; none with a count of 0",
      ),
      colour: z
        .strictObject({
          firstGlobal: firstGlobalColour.prefault({}).describe("of the first global crop"),
          otherGlobals: secondGlobalColour.prefault({}).describe("of the other global crops"),
          local: localColour.prefault({}).describe("of local crops"),
        })
        .prefault({})
        .describe("what is done to the colours of each kind of crop"),
    }),
  },
  (hooks, { name, options: { globalCrops, localCrops, colour } }) => {
    const groups: readonly ViewGroupSpec[] = [
      { group: "global", ...globalCrops },
      ...(localCrops.count > 0 ? [{ group: "local", ...localCrops }] : []),
    ];
    const colourOf = (group: string, view: number): ColourSpec => {
      if (group === "local") return colour.local;
      return view === 0 ? colour.firstGlobal : colour.otherGlobals;
    };
    hooks.views.tap(name, (views) => [...views, ...groups]);

    hooks.setup.tap(name, (setup) => {
      const { batchSize, channels } = setup.run;
      const stages = new Map(
        groups.map(({ group, count }) => {
          const specs = Array.from({ length: count }, (_, view) => colourOf(group, view));
          const params = setup.input(`colour.${group}`, {
            shape: [count * batchSize, ColourLayout.length],
            // Rows are view-major, like the pixels.
            sample: ({ indices, random }) => {
              const rows = new Float32Array(count * batchSize * ColourLayout.length);
              specs.forEach((spec, view) =>
                indices.forEach((sample, b) => {
                  rows.set(
                    sampleColour(random(sample, view), spec),
                    (view * batchSize + b) * ColourLayout.length,
                  );
                }),
              );
              return rows;
            },
          });
          return [group, { params, stages: colourStages(specs) }] as const;
        }),
      );

      hooks.augment.tap(name, (images, step) => {
        const own = stages.get(step.views.group);
        if (!own) return images;
        const params = step.value(own.params) as tf.Tensor2D;
        if (channels === 3) return applyColour(images, params, own.stages);
        // A grey image is augmented as a coloured one whose channels are equal, and they stay so.
        const coloured = applyColour(tf.tile(images, [1, 1, 1, 3]), params, own.stages);
        return tf.slice(coloured, [0, 0, 0, 0], [...images.shape.slice(0, 3), 1] as [
          number,
          number,
          number,
          number,
        ]);
      });
    });
  },
);
