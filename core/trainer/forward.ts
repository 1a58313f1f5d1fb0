/** The forward part of a step: pixels -> augment -> [embed -> tokens -> blocks -> forward -> relation] per pass. */
import type * as tf from "@tensorflow/tfjs-core";
import type { BackboneSegment } from "../backbone.ts";
import type {
  AugmentContext,
  BackboneOutput,
  Network,
  Pass,
  PassContext,
  VariableHandle,
  ViewGroupSpec,
} from "../contexts.ts";
import type { Trace, Tracer } from "../engine/engine.ts";
import { errors } from "../errors.ts";
import type { Hooks } from "../hooks.ts";
import { float32 } from "../math/index.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import { PassOutput } from "./backbone-output.ts";
import { STUDENT, type Declarations, type PassDeclaration } from "./declarations.ts";
import { declared } from "./handles.ts";
import { normalise, unitPixels, type Normalisation } from "./pixels.ts";
import { Relations, type RelationStep } from "./relations.ts";
import type { ModelState } from "./state.ts";
import { inputNames, TraceContext, type Variant } from "./step-context.ts";

export interface ForwardParts {
  readonly declarations: Declarations;
  readonly hooks: Hooks;
  readonly state: ModelState;
  readonly normalisation: Normalisation;
}

/** Takes a view group's augmented pixels, [count * B, S, S, C] in 0..1. */
export type ViewSink = (tracer: Tracer, group: string, views: tf.Tensor4D) => void;

/** Only the views: each group goes to `sink`, which outputs what is wanted of it. */
export function traceViews(parts: ForwardParts, variant: Variant, sink: ViewSink): Trace {
  const { declarations, state } = parts;
  return TraceContext.trace(declarations, state, variant, (context) => {
    const forward = new ForwardTrace(parts, context);
    for (const views of declarations.viewGroups) sink(context.tracer, views.group, forward.augment(views));
  });
}

export class ForwardTrace {
  readonly relations = new Relations();
  private readonly parts: ForwardParts;
  private readonly context: TraceContext;
  private readonly outputs = new Map<string, BackboneOutput>();

  constructor(parts: ForwardParts, context: TraceContext) {
    this.parts = parts;
    this.context = context;
  }

  /** What comparisons of relations need. */
  get relationStep(): RelationStep {
    const { batch, rects } = this.context;
    const { declarations } = this.parts;
    return {
      batch,
      rects,
      batchSize: declarations.run.batchSize,
      taughtGroups: (plugin, network) => {
        const asked = declarations.taughtGroups(plugin, network);
        return asked.length > 0 ? asked : [declarations.views[0]!.group];
      },
    };
  }

  /** Augmented pixels of a view group, [count * B, S, S, C] in 0..1. */
  augment(views: ViewGroupSpec): tf.Tensor4D {
    const { declarations, hooks } = this.parts;
    const { batchSize, channels } = declarations.run;
    const shape = [views.count * batchSize, views.size, views.size, channels] as const;
    const bytes = this.context.input(inputNames.pixels(views.group), shape, "uint8") as tf.Tensor4D;
    const ofGroup = Object.assign(Object.create(this.context) as AugmentContext, { views });
    return float32(() => hooks.augment.call(unitPixels(bytes), ofGroup));
  }

  /** Augmented, normalised pixels of a view group, [count * B, S, S, C]; once a step. */
  readonly pixels = (group: string): tf.Tensor4D =>
    this.context.remember(`pixels/${group}`, () => {
      const views = this.parts.declarations.viewGroup(group);
      return normalise(this.augment(views), this.parts.normalisation);
    });

  /** Runs passes; those of one network go through the blocks together. */
  runPasses(passes: readonly PassDeclaration[]): void {
    for (const network of new Set(passes.map((pass) => pass.network))) {
      const own = passes.filter((pass) => pass.network === network);
      const { backbone } = this.parts.declarations;
      const parameters = this.context.parameters(network, "backbone");
      const segments = own.map((pass) => this.embed(pass));
      const results = backbone.blocks(parameters, segments);
      own.forEach((pass, i) => {
        const { tokens, blocks } = results[i]!;
        const keep = <T extends tf.Tensor>(key: string, tensor: T) =>
          this.context.remember(`pass/${pass.key}/${key}`, () => tensor);
        const segment = {
          tokens: keep("tokens", tokens),
          blocks: new Map([...blocks].map(([index, block]) => [index, keep(`block ${index}`, block)])),
        };
        const remember = this.context.remember.bind(this.context);
        const output = new PassOutput(pass, backbone, parameters, segment, remember);
        const inPass = this.passContext(pass);
        this.outputs.set(pass.key, this.parts.hooks.forward.call(output, inPass));
        this.relate(pass, inPass);
      });
    }
  }

  /** Pixels to tokens before block 0, through the embed and tokens hooks. */
  private embed(pass: PassDeclaration): BackboneSegment {
    const { declarations, hooks } = this.parts;
    const { backbone, run } = declarations;
    const parameters = this.context.parameters(pass.network, "backbone");
    const inPass = this.passContext(pass);
    const { group, size } = pass.views;
    const patches = hooks.embed.call(backbone.patchify(parameters, this.pixels(group)), inPass);
    const grid = backbone.stemGrid(size);
    const prepared = backbone.prepare(parameters, patches, grid);
    const tokens = hooks.tokens.call(prepared, inPass);
    const drops = pass.network.name === STUDENT && backbone.dropPathRates.some((rate) => rate > 0);
    const images = pass.views.count * run.batchSize;
    return {
      tokens,
      grid,
      dropPath: drops
        ? (this.context.input(
            inputNames.dropPath(pass.key),
            [2 * backbone.depth, images],
            "float32",
          ) as tf.Tensor2D)
        : undefined,
      clsOnly: backbone.hasClsToken && !pass.patches && pass.blocks.size === 0,
      keepBlocks: [...pass.blocks],
    };
  }

  private relate(pass: PassDeclaration, inPass: PassContext): void {
    const { hooks } = this.parts;
    if (hooks.relation.taps.length === 0 || !pass.patches || pass.unmasked || pass.views.auxiliary) return;
    const output = this.output(pass);
    const context = Object.assign(Object.create(inPass) as PassContext, {
      output,
      patchTokens: output.patchTokens,
    });
    hooks.relation.call(this.relations.sink(pass, context.patchTokens.shape[0]), context);
  }

  private passContext(pass: PassDeclaration): PassContext {
    const { context } = this;
    return Object.assign(Object.create(context) as PassContext, {
      pass,
      read: (variable: VariableHandle, network: Network = pass.network) => context.read(variable, network),
    });
  }

  /** Whether the pass runs in this program. */
  isActive({ phases }: PassDeclaration): boolean {
    return phases === undefined || phases.some((phase) => this.context.phase(phase));
  }

  /** Throws UNDECLARED, and PASS_INACTIVE for a pass that does not run in this program. */
  readonly output = (pass: Pass): BackboneOutput => {
    const { key } = declared("pass", this.parts.declarations.passes, {
      name: (pass as Pass | undefined)?.key,
    });
    const output = this.outputs.get(key);
    if (!output) throw errors.passInactive(pluginOf(currentScope()), key);
    return output;
  };
}
