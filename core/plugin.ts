/**
 * All that a plugin imports.
 *
 * @module relata/plugin
 */
import { z } from "zod";
import type { Container } from "./container.ts";
import type { Hooks } from "./hooks.ts";

/** What a plugin says of itself. */
export interface PluginManifest<S extends z.ZodType> {
  /** kebab-case; the namespace of the plugin's variables, metrics and scopes. */
  readonly name: string;
  /** The version range of the plugin contract it was written for. */
  readonly api: "^1";
  /** One line for lists. */
  readonly summary: string;
  /** The paper it implements, as a URL. */
  readonly paper?: string;
  /** A zod schema with defaults: validation, type and documentation of the options in one. */
  readonly options: S;
  /** Plugins that must be enabled too. */
  readonly requires?: readonly string[];
  /** Plugins whose taps run before this one's, where enabled. */
  readonly after?: readonly string[];
}

/** What `apply` gets besides the hooks: the manifest's name, and the checked options with their defaults. */
export interface PluginContext<O> {
  readonly name: string;
  readonly options: O;
}

/** What `apply` may give back. */
export interface PluginParts {
  /** Rebinds services of the run (DI replaces, hooks extend). */
  services?(container: Container): void;
}

/** What a plugin's default export is: its manifest, and a value for TypeScript configs when called. */
export interface PluginDefinition<S extends z.ZodType = z.ZodType> {
  (options?: z.input<S>): PluginUse;
  readonly manifest: PluginManifest<S>;
  readonly apply: (hooks: Hooks, context: PluginContext<z.output<S>>) => PluginParts | void;
}

/** A plugin with its options: an entry of `plugins` in a TypeScript config. */
export interface PluginUse {
  readonly definition: PluginDefinition;
  readonly options: unknown;
}

/**
 * Makes a plugin. `apply` taps the hooks; it runs once, before any tensor exists.
 *
 * @example
 * export default definePlugin(
 *   { name: "my-relation", api: "^1", summary: "…", options: z.strictObject({ weight: z.number().default(0.2) }) },
 *   (hooks, { name, options }) => {
 *     hooks.loss.tap(name, (losses, { output }) => { … });
 *   },
 * );
 */
export function definePlugin<S extends z.ZodType>(
  manifest: PluginManifest<S>,
  apply: (hooks: Hooks, context: PluginContext<z.output<S>>) => PluginParts | void,
): PluginDefinition<S> {
  const use = (options?: z.input<S>): PluginUse => ({
    definition: definition as unknown as PluginDefinition,
    options: options ?? {},
  });
  const definition: PluginDefinition<S> = Object.assign(use, {
    manifest: Object.freeze({ ...manifest }),
    apply,
  });
  return definition;
}

export { z };
/** tfjs itself: the same copy that the engine uses. */
export * as tf from "@tensorflow/tfjs-core";
export type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
export * from "./math/index.ts";
export type { Backbone, BackboneSegment, BackboneSegmentOutput, TokenGrid } from "./backbone.ts";
export {
  dropPathRates,
  linearParameters,
  normParameters,
  TransformerBlocks,
  type TransformerConfig,
  type TransformerSegment,
} from "./vit/transformer-blocks.ts";
export { didYouMean } from "./config/did-you-mean.ts";
export { maskPass, type MaskedPassSpec } from "./trainer/mask-pass.ts";
export { drawMask, maskSampler, mostMasked, type MaskSpec } from "./data/draw-mask.ts";
export { comparedPasses } from "./heads/compared-passes.ts";
export { MlpHead } from "./heads/mlp-head.ts";
export { ProjectionMlp, PrototypeLayer } from "./heads/projection-head.ts";
export { PrototypeHealth, type MeasuredTargets, type TargetTemperatures } from "./heads/prototype-health.ts";
export { RelationHeads } from "./heads/relation-head.ts";
export { AdamW, decaysByDefault } from "./trainer/optimizer.ts";
export type {
  AdamWOptions,
  Optimizer,
  OptimizerStep,
  ParameterGradient,
  TrainableParameter,
} from "./trainer/optimizer.ts";
export type { Centering, TargetSpec, TeacherTargets } from "./trainer/centering.ts";
export type { MlpHeadOptions, MlpHeadSpec } from "./heads/mlp-head.ts";
export type {
  ProjectionMlpOptions,
  ProjectionMlpSpec,
  PrototypeLayerOptions,
  PrototypeLayerSpec,
} from "./heads/projection-head.ts";
export type {
  BestCheckpoint,
  Checkpoint,
  CheckpointInfo,
  CheckpointStore,
  RunSettings,
} from "./trainer/checkpoint.ts";
export type { NamedTensor } from "./trainer/safetensors.ts";
export type { Dataset, DatasetItem, ImageBlocks } from "./data/dataset.ts";
export type { ByteRange, ImageSource, ParquetCell } from "./data/image-source.ts";
export type * from "./engine/engine.ts";
export type { Logger } from "./logger.ts";
export { cosineSchedule, linearWarmup } from "./trainer/schedule.ts";
export type * from "./contexts.ts";
export type { Container } from "./container.ts";
export type { Hooks } from "./hooks.ts";
export { Random, type RandomKey } from "./random.ts";
export { errors } from "./errors.ts";
export * from "./tokens.ts";
