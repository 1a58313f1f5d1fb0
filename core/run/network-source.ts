/** What gives features, as a person names it: a run, or weights from elsewhere. Found first, opened when all is there. */
import { applyOverrides } from "../config/overrides.ts";
import { parseConfig } from "../config/parse.ts";
import type { ResolvedConfig, RunConfig } from "../config/schema.ts";
import type { Dataset } from "../data/dataset.ts";
import { errors } from "../errors.ts";
import { silentLogger, type Logger } from "../logger.ts";
import type { ResolvedPlugin } from "../trainer/assemble.ts";
import { STUDENT, TEACHER } from "../trainer/declarations.ts";
import { openFrozenNetwork } from "../trainer/frozen-network.ts";
import type { EmbeddingNetwork } from "./embed.ts";
import { RunFolder } from "./folder.ts";
import { openRunNetwork } from "./run-network.ts";

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
  /** The run's; for weights, what computes and how images lie, with the defaults of a run. */
  readonly config: ResolvedConfig;
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

/** What weights have no part in. */
const NOTHING: RunConfig = {
  data: { dataset: "none" },
  train: { epochs: 1, batchSize: 1 },
  plugins: ["multi-crop"],
};

function weightsSource(
  weights: string,
  { set = [], network = TEACHER, checkpoint }: SourceOptions,
): NetworkSource {
  if (checkpoint !== undefined) {
    throw errors.usage(
      `${weights} is no run, and has no checkpoints`,
      "name a run, or leave out --checkpoint",
    );
  }
  if (network !== STUDENT && network !== TEACHER) throw errors.checkpointNetwork(network, [STUDENT, TEACHER]);
  const written = applyOverrides(NOTHING, set) as RunConfig;
  const config = parseConfig(written, process.cwd());
  // Only what was said: the weights, and what lies beside them, tell the rest.
  const { backbone, data } = written;
  return {
    config,
    open: () =>
      openFrozenNetwork({
        weights,
        network,
        backbone,
        train: config.train,
        mean: data?.mean,
        std: data?.std,
      }),
  };
}
