/** What gives features, as a person names it: a run, or weights from elsewhere. Found first, opened when all is there. */
import { applyOverrides } from "../config/overrides.ts";
import { parseConfig } from "../config/parse.ts";
import type { ResolvedConfig } from "../config/schema.ts";
import { parseWeightsConfig } from "../config/weights-config.ts";
import type { Dataset } from "../data/dataset.ts";
import { errors } from "../errors.ts";
import { silentLogger, type Logger } from "../logger.ts";
import type { ResolvedPlugin } from "../trainer/assemble.ts";
import { STUDENT, TEACHER } from "../trainer/declarations.ts";
import { openFrozenNetwork, type ComputeSettings } from "../trainer/frozen-network.ts";
import type { EmbeddingNetwork } from "./embed.ts";
import { RunFolder } from "./folder.ts";
import { openRunNetwork } from "./run-network.ts";

/** Which network of a run. */
export interface NetworkOptions {
  /** Whose backbone (default: the teacher's where there is one). */
  readonly network?: string;
  /** Of a run: a step, or a checkpoint's path (default: the newest whole one). */
  readonly checkpoint?: number | string;
}

export interface SourceOptions extends NetworkOptions {
  /** Single values of the config, such as "train.device=cpu". */
  readonly set?: readonly string[];
  readonly logger?: Logger;
  readonly resolvePlugins: (
    entries: ResolvedConfig["plugins"],
    baseDir: string,
  ) => Promise<readonly ResolvedPlugin[]>;
}

export interface OpenNetwork extends EmbeddingNetwork {
  /** Frees the engine. */
  close(): void;
}

export interface NetworkSource {
  /** What computes, and how images are read: the run's config, or for weights the defaults of one. */
  readonly config: { readonly train: ComputeSettings; readonly data: ResolvedConfig["data"] };
  /** @param dataset what the network will see */
  open(dataset: Dataset): Promise<OpenNetwork>;
}

/**
 * @param named the folder of a run, or its name in "runs"; a file or folder of weights
 * @throws what reading and overriding a config throws; `open`: see openRunNetwork and openFrozenNetwork
 */
export async function networkSource(named: string, options: SourceOptions): Promise<NetworkSource> {
  const { set = [], logger = silentLogger, network, checkpoint, resolvePlugins } = options;
  const run = RunFolder.find(named);
  if (!run) return weightsSource(named, options);
  const baseDir = run.readRun()?.baseDir ?? process.cwd();
  const config = parseConfig(applyOverrides(run.readConfig(), set), baseDir);
  const plugins = await resolvePlugins(config.plugins, baseDir);
  return {
    config,
    open: (dataset) => openRunNetwork(run, config, plugins, { dataset, network, checkpoint, logger }),
  };
}

function weightsSource(
  weights: string,
  { set = [], network = TEACHER, checkpoint, logger }: SourceOptions,
): NetworkSource {
  if (checkpoint !== undefined) {
    throw errors.usage(
      `${weights} is no run, and has no checkpoints`,
      "name a run, or leave out --checkpoint",
    );
  }
  if (network !== STUDENT && network !== TEACHER) throw errors.checkpointNetwork(network, [STUDENT, TEACHER]);
  const written = applyOverrides({ data: { dataset: "none" } }, set);
  const { train, data, backbone, normalisation } = parseWeightsConfig(written);
  return {
    config: { train, data },
    open: () => openFrozenNetwork({ weights, network, backbone, train, ...normalisation, logger }),
  };
}
