/** A run's backbone as files that PyTorch Image Models (timm) loads as they are. */
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseConfig } from "../config/parse.ts";
import type { ResolvedConfig } from "../config/schema.ts";
import { IMAGENET_RATIO } from "../data/evaluation.ts";
import type { Logger } from "../logger.ts";
import { silentLogger } from "../logger.ts";
import { writeSafetensors } from "../trainer/safetensors.ts";
import { toTimm } from "../weights/to-timm.ts";
import { writeJsonAtomic } from "./atomic-file.ts";
import { backboneOf, findCheckpoint } from "./find-checkpoint.ts";
import type { RunFolder } from "./folder.ts";
import { makeOutputs } from "./output.ts";
import { relataVersion } from "./provenance.ts";

/** What is exported, and where to. */
export interface ExportOptions {
  /** The folder to make (default: `export-NETWORK-STEP` in the run's). */
  readonly out?: string;
  /** Whose weights (default: the teacher's where there is one). */
  readonly network?: string;
  /** A step, or a checkpoint's path (default: the newest whole one). */
  readonly checkpoint?: number | string;
  readonly logger?: Logger;
}

/** What was exported. */
export interface ExportSummary {
  readonly folder: string;
  /** timm's name for the model whose sizes `config.json` changes. */
  readonly architecture: string;
  readonly network: string;
  /** Updates done when it was saved. */
  readonly step: number;
  /** Weights. */
  readonly parameters: number;
}

/**
 * Writes `model.safetensors` and `config.json`: `timm.create_model("local-dir:FOLDER", pretrained=True)` gives the
 * backbone. Needs no libtensorflow.
 *
 * @throws CHECKPOINT_MISSING, CHECKPOINT_STEP, CHECKPOINT_DAMAGED, CHECKPOINT_NETWORK, EXPORT_BACKBONE, OUTPUT_EXISTS,
 *   OUTPUT_WRITE, and what reading the run's config throws
 */
export async function exportRun(run: RunFolder, options: ExportOptions = {}): Promise<ExportSummary> {
  const config = parseConfig(run.readConfig(), run.readRun()?.baseDir ?? process.cwd());
  const checkpoint = await findCheckpoint(run, options.checkpoint, options.logger ?? silentLogger);
  const { network, weights } = backboneOf(checkpoint, options.network);
  const model = toTimm(weights, { ...config.backbone, channels: config.data.channels }, inputOf(config));
  const { step } = checkpoint;
  const folder = resolve(options.out ?? join(run.path, `export-${network}-${step}`));
  const metadata = {
    format: "pt",
    producer: `relata ${relataVersion()}`,
    run: run.name,
    network,
    step: String(step),
    plugins: Object.keys(checkpoint.settings.plugins).join(" "),
  };
  await makeOutputs([folder], async ([part]) => {
    await mkdir(part!);
    await writeSafetensors(join(part!, "model.safetensors"), model.tensors, metadata);
    writeJsonAtomic(join(part!, "config.json"), model.config);
  });
  const parameters = model.tensors.reduce((sum, { values }) => sum + values.length, 0);
  return { folder, architecture: model.config.architecture, network, step, parameters };
}

/** What evaluations do to images, in timm's words. */
function inputOf({ data }: ResolvedConfig) {
  // Small square drawings fill their image: see `CenteredOptions.resizeRatio`.
  const cropPct = data.dataset === "emoji" ? 1 : 1 / IMAGENET_RATIO;
  return { mean: data.mean, std: data.std, cropPct };
}
