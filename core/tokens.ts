/**
 * Typed tokens for dependency injection. A service is replaced by binding its token again (a config or a
 * plugin's `services`); behaviour is extended through hooks. No hook swaps a service.
 */
import type { Backbone } from "./backbone.ts";
import type { RunInfo } from "./contexts.ts";
import type { CheckpointStore } from "./trainer/checkpoint.ts";
import type { Dataset } from "./data/dataset.ts";
import type { Engine } from "./engine/engine.ts";
import type { Logger } from "./logger.ts";
import { createToken, type Token } from "./token.ts";
import type { Centering } from "./trainer/centering.ts";
import type { Optimizer } from "./trainer/optimizer.ts";

export * from "./token.ts";

/** The numbers of the run, for services that need them; what the dataset is made of cannot ask for them. */
export const RUN: Token<RunInfo> = createToken("RUN");
/** Runs captured steps and owns every variable. */
export const ENGINE: Token<Engine> = createToken("ENGINE");
/** Turns pixels into tokens. */
export const BACKBONE: Token<Backbone> = createToken("BACKBONE");
/** Turns gradients into writes of variables. */
export const OPTIMIZER: Token<Optimizer> = createToken("OPTIMIZER");
/** The images, and their classes where there are any. */
export const DATASET: Token<Dataset> = createToken("DATASET");
/** Keeps a teacher's targets over prototypes from collapse. */
export const CENTERING: Token<Centering> = createToken("CENTERING");
/** Where the state of a run is saved. */
export const CHECKPOINTS: Token<CheckpointStore> = createToken("CHECKPOINTS");
/** What the run tells the person who started it. */
export const LOGGER: Token<Logger> = createToken("LOGGER");
