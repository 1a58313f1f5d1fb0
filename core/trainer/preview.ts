/** A few samples and the views that the networks would see of them, augmented, for the eye. */
import type { TokenGrid } from "../backbone.ts";
import type { CropRect } from "../data/crop.ts";
import { decode } from "../data/decode.ts";
import { cropOf } from "../data/pipeline.ts";
import { rgbImage, type AnnotatedImage, type Box, type PatchCells } from "../report/images.ts";
import type { ViewSample } from "../report/report-data.ts";
import { firstBatch, type Assembly } from "./assemble.ts";

/** The first `count` samples of the run's first batch, with the views of step 0. */
export async function sampleViews(assembly: Assembly, count: number): Promise<ViewSample[]> {
  if (count === 0) return [];
  const { training, run, trained, config } = assembly;
  const batch = await firstBatch(assembly);
  const start = { step: 0, epoch: 0 };
  const feeds = training.feeds(batch, start);
  const program = await training.engine.program("views", training.traceViews(feeds));
  const augmented = await program.run(feeds);
  const groups = training.declarations.viewGroups.map((spec) => ({
    ...spec,
    grid: training.declarations.backbone.grid(spec.size),
    mask: training.maskCells(spec.group, batch, start),
  }));
  const samples = Math.min(count, run.batchSize);
  return Promise.all(
    Array.from({ length: samples }, async (_, b): Promise<ViewSample> => {
      const item = trained.item(batch.indices[b]!);
      const { channels, background } = config.data;
      const source = await decode(item, { channels, background });
      const boxes: Box[] = [];
      const views: ViewSample["views"][number][] = [];
      for (const { group, count: viewCount, size, auxiliary, grid, mask } of groups) {
        for (let view = 0; view < viewCount; view++) {
          const row = view * run.batchSize + b;
          const kind = group === "local" ? "local" : "global";
          if (!auxiliary) boxes.push(boxOf(kind, cropOf(batch, group, row), source));
          const imageSize = size * size * channels;
          const values = (augmented[group] as Float32Array).subarray(row * imageSize, (row + 1) * imageSize);
          views.push({
            image: rgbImage(
              values.map((v) => 255 * v),
              { width: size, height: size, channels },
            ),
            name: `${group} ${view + 1}`,
            kind,
            mask: mask && maskOf(grid, mask, row),
          });
        }
      }
      const whole: AnnotatedImage = { image: rgbImage(source.data, source), boxes };
      return { name: item.id, source: whole, views };
    }),
  );
}

/** The cells of one image of a batch. */
function maskOf({ rows, columns }: TokenGrid, cells: ArrayLike<number>, image: number): PatchCells {
  const patches = rows * columns;
  return {
    rows,
    columns,
    cells: Array.from({ length: patches }, (_, i) => cells[image * patches + i]!),
  };
}

/** A crop rectangle in fractions of the source image. */
function boxOf(
  kind: "global" | "local",
  crop: CropRect,
  { width, height }: { width: number; height: number },
): Box {
  return {
    kind,
    x: crop.x / width,
    y: crop.y / height,
    width: crop.width / width,
    height: crop.height / height,
  };
}
