/** What is evaluated, on which images: the network of a run, or one from a file of weights. */
import type { ResolvedConfig } from "../config/schema.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Logger } from "../logger.ts";
import type { FeatureNetwork } from "./features.ts";

/** The images, and what the config says of them. */
export interface EvaluationImages {
  readonly config: Pick<ResolvedConfig, "seed" | "data" | "evaluation">;
  readonly dataset: Dataset;
}

export interface EvaluationSubject extends EvaluationImages {
  readonly network: FeatureNetwork;
  /** Side of the images in pixels, as the network sees them. */
  readonly size: number;
  readonly logger: Logger;
}
