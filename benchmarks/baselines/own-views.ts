/** relata's views of images: decoded, cropped and resampled by the pipeline, coloured in a captured program. */
import * as tf from "@tensorflow/tfjs-core";
import { ViewPipeline, type ViewBatch } from "../../core/data/pipeline.ts";
import type { Program } from "../../core/engine/engine.ts";
import { parseConfig } from "../../core/config/parse.ts";
import { silentLogger } from "../../core/logger.ts";
import { assemble, firstBatch, type Assembly } from "../../core/trainer/assemble.ts";
import { normalise } from "../../core/trainer/pixels.ts";
import { resolvePlugins } from "../../registry/resolve.ts";
import type { ViewsSpec } from "./torchvision-side.ts";

const START = { step: 0, epoch: 0 };

export interface Chunk {
  readonly paths: readonly string[];
  /** CPU seconds of the process. */
  readonly pipelineSeconds: number;
  readonly colourSeconds: number;
}

export class OwnViews {
  readonly assembly: Assembly;
  readonly spec: ViewsSpec;
  private readonly pipeline: ViewPipeline;
  private readonly batches: AsyncGenerator<ViewBatch, void, undefined>;
  private readonly program: Program;

  private constructor(assembly: Assembly, program: Program) {
    this.assembly = assembly;
    this.program = program;
    const { mean, std } = assembly.config.data;
    const crops = assembly.training.declarations.viewGroups.map(({ count, size, scale }) => ({
      count,
      size,
      scale,
    }));
    const [global, local = { ...crops[0]!, count: 0 }] = crops as [ViewsSpec["global"], ViewsSpec["local"]?];
    this.spec = { global, local, mean, std };
    // A batch is begun when it is asked for, so that nothing is made outside of the time that is taken.
    const { dataset, hooks, run } = assembly;
    const views = hooks.views.call([]);
    this.pipeline = new ViewPipeline({
      dataset,
      views,
      batchSize: run.batchSize,
      seed: 0,
      workers: 0,
      prefetch: 0,
    });
    this.batches = this.pipeline.batches(0);
  }

  /** Of a folder of images, `chunk` at a time, on one thread. */
  static async open(folder: string, chunk: number, locals: number): Promise<OwnViews> {
    const config = parseConfig(
      {
        data: { dataset: "image-folder", path: folder, workers: 0 },
        backbone: { arch: "vit-tiny", depth: 1 },
        train: { epochs: 1, batchSize: chunk, device: "cpu", threads: { intra: 1, inter: 1 } },
        plugins: [{ use: "multi-crop", with: { localCrops: { count: locals } } }, "dino"],
      },
      folder,
    );
    const plugins = await resolvePlugins(config.plugins, folder);
    const assembly = await assemble(config, plugins, {
      baseDir: folder,
      checkpoints: "unused",
      logger: silentLogger,
    });
    const { training, engine } = assembly;
    // In training they go on to the network. Here a sum of each group keeps it from being left out, and is cheap.
    const views = training.traceViews(
      training.feeds(await firstBatch(assembly), START),
      (tracer, group, pixels) => tracer.output(group, tf.sum(normalise(pixels, training.normalisation))),
    );
    const program = await engine.program("views", views);
    return new OwnViews(assembly, program);
  }

  /** Makes all views of the next images. */
  async next(): Promise<Chunk> {
    const { training, dataset } = this.assembly;
    const [pipelineSeconds, batch] = await cpuTimed(
      async () => (await this.batches.next()).value as ViewBatch,
    );
    const [colourSeconds, sums] = await cpuTimed(() => this.program.run(training.feeds(batch, START)));
    if (!Object.values(sums).every(([sum]) => Number.isFinite(sum)))
      throw new Error("the views are not finite");
    const paths = Array.from(batch.indices, (index) => dataset.item(index).path);
    return { paths, pipelineSeconds, colourSeconds };
  }

  async close(): Promise<void> {
    await this.pipeline.close();
  }
}

/** CPU seconds of all threads of this process, and what was waited for. */
async function cpuTimed<T>(work: () => Promise<T>): Promise<[seconds: number, result: T]> {
  const start = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(start);
  return [(user + system) / 1e6, result];
}
