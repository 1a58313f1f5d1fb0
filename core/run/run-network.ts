/** A network of a run, opened for its features: the backbone alone, whoever brings it. */
import type { ResolvedConfig } from "../config/schema.ts";
import type { Dataset } from "../data/dataset.ts";
import { learningViews } from "../data/view-group.ts";
import type { Logger } from "../logger.ts";
import { BACKBONE } from "../tokens.ts";
import type { ResolvedPlugin } from "../trainer/assemble.ts";
import { valuesFor } from "../trainer/checkpoint.ts";
import { compose, openEngine } from "../trainer/compose.ts";
import type { FeatureNetwork } from "../trainer/features.ts";
import { backboneOf, findCheckpoint } from "./find-checkpoint.ts";
import type { RunFolder } from "./folder.ts";

export interface RunNetworkOptions {
  /** What the network will see. */
  readonly dataset: Dataset;
  /** Whose backbone (default: the teacher's where there is one). */
  readonly network?: string;
  /** A step, or a checkpoint's path (default: the newest whole one). */
  readonly checkpoint?: number | string;
  readonly logger: Logger;
}

export interface RunNetwork extends FeatureNetwork {
  /** Side in pixels of the images that evaluations show it. */
  readonly size: number;
  /** Updates done. */
  readonly step: number;
  /** Frees the engine. */
  close(): void;
}

/**
 * @throws CHECKPOINT_MISSING, CHECKPOINT_STEP, CHECKPOINT_DAMAGED, CHECKPOINT_NETWORK, CHECKPOINT_MISMATCH, and what
 *   plugins and opening the engine throw
 */
export async function openRunNetwork(
  run: RunFolder,
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  { dataset, logger, ...wanted }: RunNetworkOptions,
): Promise<RunNetwork> {
  const checkpoint = await findCheckpoint(run, wanted.checkpoint, logger);
  const { network, weights } = backboneOf(checkpoint, wanted.network);
  const { container, views } = compose(config, plugins, { dataset, checkpoints: run.checkpoints, logger });
  const backbone = container.get(BACKBONE);
  const parameters = backbone.parameters();
  const values = valuesFor({ tensors: [...weights.values()] }, parameters);
  const engine = await openEngine(config, container);
  try {
    const variables = new Map(
      parameters.map(({ name, shape }) => [name, engine.variable(`backbone.${name}`, shape)]),
    );
    await engine.load([...values].map(([name, value]) => [variables.get(name)!, value] as const));
    const { channels, mean, std } = config.data;
    return {
      name: `${network} of ${run.name}`,
      ...{ backbone, engine, channels, normalisation: { mean, std } },
      variable: (parameter) => variables.get(parameter)!,
      size: learningViews(views)[0]!.size,
      step: checkpoint.step,
      close: () => engine.close(),
    };
  } catch (error) {
    engine.close();
    throw error;
  }
}
