/**
 * The contract between the core and its plugins: every hook, in the order in which it runs.
 *
 *   once, on the host           views -> setup
 *   every step, in the graph    augment -> [embed -> tokens -> forward -> relation] per pass -> loss
 *                               -> (gradients, optimizer) -> update
 *   every step, on the host     afterStep
 *   later, on the host          afterEpoch, done
 *
 * "In the graph" means: the function is traced (several times) into one TensorFlow graph, works on tensors
 * only, reads no value and keeps no state. "In tape" means: gradients flow through what it computes.
 */
import type { Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import { AsyncSeriesHook, SyncHook, SyncWaterfallHook } from "tapable";
import type {
  AugmentContext,
  BackboneOutput,
  EpochContext,
  LossContext,
  LossSink,
  PassContext,
  RelationContext,
  RelationSink,
  SetupContext,
  StepResult,
  UpdateContext,
  ViewGroupSpec,
} from "./contexts.ts";
import { didYouMean } from "./config/did-you-mean.ts";
import { errors } from "./errors.ts";
import { guard } from "./hook-guards.ts";
import { backboneOutput, tokensOfPass, sameShape, viewGroups } from "./hook-values.ts";
import { currentScope, pluginOf } from "./scopes.ts";

/** Every hook, in the order in which it runs; docs/hooks.md has an example of each. */
export interface Hooks {
  /** Host, once, sync waterfall. The list of view groups -> the list with this plugin's groups. */
  readonly views: SyncWaterfallHook<[ViewGroupSpec[]]>;
  /** Host, once, async in series. Declares networks, passes, variables, heads, inputs, schedules, phases. */
  readonly setup: AsyncSeriesHook<[SetupContext]>;
  /**
   * In the graph, outside the tape, per view group, sync waterfall.
   * Pixels [count * B, S, S, C] in 0..1 -> augmented pixels in 0..1. The core normalises afterwards.
   */
  readonly augment: SyncWaterfallHook<[Tensor4D, AugmentContext]>;
  /** In the graph, per pass, sync waterfall; in tape in the student's passes. Patch tokens [B, N0, D0] before position embedding (mask tokens). */
  readonly embed: SyncWaterfallHook<[Tensor3D, PassContext]>;
  /** Like embed. Tokens [B, T, D0] before block 0; in a pass of its own a plugin may drop some. */
  readonly tokens: SyncWaterfallHook<[Tensor3D, PassContext]>;
  /** Like embed. What the backbone gave, before anyone reads it. */
  readonly forward: SyncWaterfallHook<[BackboneOutput, PassContext]>;
  /** In the graph, per shared pass, sync, write-only sink; in tape in the student's. Relations of the patch tokens. */
  readonly relation: SyncHook<[RelationSink, RelationContext]>;
  /** In tape, once a step, sync, write-only sink. Named scalar loss terms with weights. */
  readonly loss: SyncHook<[LossSink, LossContext]>;
  /** In the graph, after the optimizer, sync. Centers, queues. */
  readonly update: SyncHook<[UpdateContext]>;
  /** Host, sync, after each update. */
  readonly afterStep: SyncHook<[StepResult]>;
  /** Host, async in series, after each epoch: figures of one's own. */
  readonly afterEpoch: AsyncSeriesHook<[EpochContext]>;
  /** Host, async in series, once, at the end. */
  readonly done: AsyncSeriesHook<[EpochContext]>;
}

export function createHooks(): Hooks {
  const hooks: Hooks = Object.freeze({
    views: guard(new SyncWaterfallHook<[ViewGroupSpec[]]>(["views"], "views"), viewGroups),
    setup: guard(new AsyncSeriesHook<[SetupContext]>(["context"], "setup")),
    augment: guard(
      new SyncWaterfallHook<[Tensor4D, AugmentContext]>(["images", "context"], "augment"),
      sameShape,
    ),
    embed: guard(
      new SyncWaterfallHook<[Tensor3D, PassContext]>(["patchTokens", "context"], "embed"),
      sameShape,
    ),
    tokens: guard(
      new SyncWaterfallHook<[Tensor3D, PassContext]>(["tokens", "context"], "tokens"),
      tokensOfPass,
    ),
    forward: guard(
      new SyncWaterfallHook<[BackboneOutput, PassContext]>(["output", "context"], "forward"),
      backboneOutput,
    ),
    relation: guard(new SyncHook<[RelationSink, RelationContext]>(["relations", "context"], "relation")),
    loss: guard(new SyncHook<[LossSink, LossContext]>(["losses", "context"], "loss")),
    update: guard(new SyncHook<[UpdateContext]>(["context"], "update")),
    afterStep: guard(new SyncHook<[StepResult]>(["result"], "afterStep")),
    afterEpoch: guard(new AsyncSeriesHook<[EpochContext]>(["context"], "afterEpoch")),
    done: guard(new AsyncSeriesHook<[EpochContext]>(["context"], "done")),
  });
  return new Proxy(hooks, { get: named });
}

/** A hook by its name; "losses" is told to be "loss". Throws HOOK_UNKNOWN. */
function named(hooks: Hooks, name: string | symbol): unknown {
  if (typeof name === "string" && !(name in hooks)) {
    const known = Object.keys(hooks);
    throw errors.hookUnknown(pluginOf(currentScope()), name, known, didYouMean(name, known));
  }
  return Reflect.get(hooks, name);
}
