/** The views of a run that is not started. */
import type { ResolvedConfig } from "../config/schema.ts";
import { intersection } from "../data/crop.ts";
import { silentLogger } from "../logger.ts";
import type { ViewSample } from "../report/report-data.ts";
import { assemble, type ResolvedPlugin } from "../trainer/assemble.ts";
import { sampleViews } from "../trainer/preview.ts";

export interface PreviewOptions {
  readonly baseDir: string;
  /** Images. */
  readonly samples: number;
  readonly status?: (message: string) => void;
}

/** A few images with their crops and augmented views. Needs no libtensorflow. */
export async function previewViews(
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  { baseDir, samples, status }: PreviewOptions,
): Promise<ViewSample[]> {
  const small: ResolvedConfig = {
    ...config,
    data: { ...config.data, workers: 0 },
    train: {
      ...config.train,
      ...{ batchSize: samples, microBatch: samples },
      ...{ engine: "eager", backend: "cpu", device: "cpu", precision: "fp32", jit: "off" },
    },
  };
  const assembly = await assemble(small, plugins, { baseDir, checkpoints: "", logger: silentLogger, status });
  try {
    status?.("drawing the views");
    return (await sampleViews(assembly, samples)).map(withOverlap);
  } finally {
    assembly.engine.close();
  }
}

/** Tints what the first two global crops share: where relations of one are compared with those of the other. */
function withOverlap(sample: ViewSample): ViewSample {
  const { boxes = [] } = sample.source;
  const [a, b] = boxes.filter(({ kind }) => kind === "global");
  const shared = a && b && intersection(a, b);
  if (!shared) return sample;
  return { ...sample, source: { ...sample.source, boxes: [{ kind: "overlap", ...shared }, ...boxes] } };
}
