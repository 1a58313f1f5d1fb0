/**
 * One training step as a pure function of tensors, in the order of the hooks:
 *
 *   pixels -> augment -> passes (other networks outside the tape, the student inside) -> relation -> loss
 *   -> gradients -> clip -> [if everything is finite] optimizer -> followers (EMA, copies) -> update
 */
import * as tf from "@tensorflow/tfjs-core";
import type { BackboneSegment } from "../backbone.ts";
import type {
  AugmentContext,
  BackboneOutput,
  CrossView,
  LossContext,
  LossSink,
  Network,
  Pass,
  PassContext,
  ScheduleHandle,
  UpdateContext,
  VariableHandle,
  ViewGroupSpec,
} from "../contexts.ts";
import type { Trace, Tracer, Variable } from "../engine/engine.ts";
import { errors } from "../errors.ts";
import type { Hooks } from "../hooks.ts";
import { float32, squaredNorm, stopGradient } from "../math/index.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import { PassOutput } from "./backbone-output.ts";
import { STUDENT, type Declarations, type PassDeclaration } from "./declarations.ts";
import { normalise, unitPixels, type Normalisation } from "./pixels.ts";
import { clipByNorm, type Optimizer, type OptimizerStep } from "./optimizer.ts";
import { Relations, type RelationStep, type ViewRows } from "./relations.ts";
import type { ModelState } from "./state.ts";
import { inputNames, TraceContext, type Variant } from "./step-context.ts";

/**
 * train: one batch, one update. With accumulation, micro-batches run `accumulate` and the last one `apply`.
 */
export type StepKind = "train" | "accumulate" | "apply";

export interface StepParts {
  readonly declarations: Declarations;
  readonly hooks: Hooks;
  readonly state: ModelState;
  readonly optimizer: Optimizer;
  readonly schedules: {
    readonly lr: ScheduleHandle;
    readonly weightDecay: ScheduleHandle;
    readonly momentum: ScheduleHandle;
    /** By network: 1 in steps in which it is copied. */
    readonly copies: ReadonlyMap<string, ScheduleHandle>;
  };
  readonly normalisation: Normalisation;
  /** Per tensor; 0 clips nothing. */
  readonly clipGrad: number;
  /** Micro-batches per update. */
  readonly accumulation: number;
  /** By trainable parameter name, present when accumulation > 1. */
  readonly accumulators: ReadonlyMap<string, Variable>;
  /** Also gives every raw gradient, for tests and the ledger. */
  readonly outputGradients?: boolean;
}

/** Output names of a step program. */
export const stepOutputs = {
  finite: "finite",
  total: "loss",
  term: (name: string) => `loss/${name}`,
  metric: (name: string) => `metric/${name}`,
  gradientNorm: "gradNorm",
  gradient: (parameter: string) => `gradient/${parameter}`,
};

export function traceStep(parts: StepParts, kind: StepKind, variant: Variant): Trace {
  return TraceContext.trace(parts.declarations, parts.state, variant, (context) =>
    new StepTrace(parts, kind, context).run(),
  );
}

/** Only the views: each group's augmented pixels in 0..1 under its name. */
export function traceViews(parts: StepParts, variant: Variant): Trace {
  const { declarations, state } = parts;
  return TraceContext.trace(declarations, state, variant, (context) => {
    for (const views of declarations.views)
      context.tracer.output(views.group, augment(parts, context, views));
  });
}

/** Names of the outputs of `traceRelations`. */
export const relationOutputs = {
  /** Augmented views of the first group, 0..1. */
  pixels: "pixels",
  overlaps: (relation: string) => `${relation}/overlaps`,
  view: (relation: string, network: "teacher" | "student", part: keyof ViewRows) =>
    `${relation}/${network}/${part}`,
};

/** Only the passes and their relations: how chosen points of an overlap relate to all tokens (`Relations.pointRows`). */
export function traceRelations(parts: StepParts, variant: Variant, side: number, points: Int32Array): Trace {
  return TraceContext.trace(parts.declarations, parts.state, variant, (context) =>
    new StepTrace(parts, "train", context).showRelations(side, points),
  );
}

/** Augmented pixels of a view group, [count * B, S, S, C] in 0..1. */
function augment(
  { declarations, hooks }: StepParts,
  context: TraceContext,
  views: ViewGroupSpec,
): tf.Tensor4D {
  const { batchSize, channels } = declarations.run;
  const shape = [views.count * batchSize, views.size, views.size, channels] as const;
  const bytes = context.input(inputNames.pixels(views.group), shape, "uint8") as tf.Tensor4D;
  const ofGroup = Object.assign(Object.create(context) as AugmentContext, { views });
  const augmented = float32(() => hooks.augment.call(unitPixels(bytes), ofGroup));
  if (augmented.shape.join() !== shape.join()) {
    const plugins = hooks.augment.taps.map((tap) => tap.name);
    throw errors.augmentShape(plugins, views.group, shape, augmented.shape);
  }
  return augmented;
}

class StepTrace {
  private readonly parts: StepParts;
  private readonly kind: StepKind;
  private readonly context: TraceContext;
  private readonly tracer: Tracer;
  private readonly outputs = new Map<string, BackboneOutput>();
  private readonly relations = new Relations();
  /** Names of the loss terms. */
  private readonly terms = new Set<string>();

  constructor(parts: StepParts, kind: StepKind, context: TraceContext) {
    this.parts = parts;
    this.kind = kind;
    this.context = context;
    this.tracer = context.tracer;
  }

  run(): void {
    const { state, declarations } = this.parts;
    const passes = [...declarations.passes.values()];
    const learning = passes.filter((pass) => pass.network.name === STUDENT);
    for (const { views } of passes) this.pixels(views.group);
    // Nothing learns from the other networks, so they run before the tape is on.
    this.runPasses(passes.filter((pass) => pass.network.name !== STUDENT));

    const weights = state.trainable.map(({ variable }) => this.tracer.read(variable));
    const forward = () => {
      this.runPasses(learning);
      return this.loss();
    };
    // A weight that the loss does not reach has no gradient and is not updated.
    const { value: total, grads } = tf.engine().gradients(forward, weights, undefined, true);
    this.write(total as tf.Scalar, grads as (tf.Tensor | undefined)[]);
  }

  showRelations(side: number, points: Int32Array): void {
    const passes = [...this.parts.declarations.passes.values()];
    this.runPasses(passes);
    const views = this.parts.declarations.views[0]!;
    this.tracer.output(relationOutputs.pixels, augment(this.parts, this.context, views));
    const shown = this.relations.pointRows(this.relationStep, views.group, side, points);
    for (const { relation, overlaps, ...networks } of shown) {
      this.tracer.output(relationOutputs.overlaps(relation), overlaps);
      for (const network of ["teacher", "student"] as const) {
        for (const part of ["rows", "x", "y"] as const) {
          this.tracer.output(relationOutputs.view(relation, network, part), networks[network][part]);
        }
      }
    }
  }

  // --- forward ---------------------------------------------------------------------------------------------

  /** Augmented, normalised pixels of a view group, [count * B, S, S, C]; once a step. */
  private readonly pixels = (group: string): tf.Tensor4D =>
    this.context.remember(`pixels/${group}`, () => {
      const views = this.parts.declarations.viewGroup(group);
      return normalise(augment(this.parts, this.context, views), this.parts.normalisation);
    });

  /** Runs passes; those of one network go through the blocks together. */
  private runPasses(passes: readonly PassDeclaration[]): void {
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
    const patches = hooks.embed.call(backbone.patchify(parameters, this.pixels(pass.views.group)), inPass);
    const tokens = hooks.tokens.call(backbone.prepare(parameters, patches, pass.grid), inPass);
    const drops = pass.network.name === STUDENT && backbone.dropPathRates.some((rate) => rate > 0);
    const images = pass.views.count * run.batchSize;
    return {
      tokens,
      dropPath: drops
        ? (this.context.input(
            inputNames.dropPath(pass.key),
            [2 * backbone.depth, images],
            "float32",
          ) as tf.Tensor2D)
        : undefined,
      clsOnly: !pass.patches && pass.blocks.size === 0,
      keepBlocks: [...pass.blocks],
    };
  }

  private relate(pass: PassDeclaration, inPass: PassContext): void {
    const { hooks } = this.parts;
    if (hooks.relation.taps.length === 0 || !pass.patches) return;
    const output = this.output(pass);
    const context = Object.assign(Object.create(inPass) as PassContext, {
      output,
      patchTokens: output.patchTokens,
    });
    hooks.relation.call(this.relations.sink(pass), context);
  }

  private passContext(pass: PassDeclaration): PassContext {
    const { context } = this;
    return Object.assign(Object.create(context) as PassContext, {
      pass,
      read: (variable: VariableHandle, network: Network = pass.network) => context.read(variable, network),
    });
  }

  private readonly output = (pass: Pass): BackboneOutput => this.outputs.get(pass.key)!;

  // --- loss ------------------------------------------------------------------------------------------------

  /** The weighted sum of all terms. */
  private loss(): tf.Scalar {
    const { hooks } = this.parts;
    const context = this.lossContext(this.output);
    const terms: tf.Tensor[] = [];
    const term = (name: string, weight: number | ScheduleHandle, value: tf.Tensor) => {
      const plugin = pluginOf(currentScope());
      const full = name === plugin ? name : `${plugin}.${name}`;
      if (this.terms.has(full)) throw errors.lossDuplicate(plugin, full);
      if (value.rank !== 0) throw errors.lossNotScalar(plugin, full, value.shape);
      this.terms.add(full);
      this.tracer.output(stepOutputs.term(full), value);
      terms.push(tf.mul(value, typeof weight === "number" ? weight : this.context.value(weight)));
    };
    const sink: LossSink = {
      add: term,
      addProbe: (name, weight, value) => term(name, weight, value(this.probeContext())),
      metric: (name, value) =>
        this.tracer.output(stepOutputs.metric(`${pluginOf(currentScope())}.${name}`), value),
    };
    hooks.loss.call(sink, context);
    if (terms.length === 0) throw errors.noLoss();
    const total = tf.addN(terms) as tf.Scalar;
    this.tracer.output(stepOutputs.total, total);
    return tf.div(total, this.parts.accumulation) as tf.Scalar;
  }

  /** What a probe sees: nothing in it carries a gradient to the backbone. */
  private probeContext(): LossContext {
    const context = this.lossContext(this.detached);
    const { crossView, once } = context;
    const detached: CrossView = (relation, compare, options) =>
      crossView(relation, (a, b, pairs) => compare(stopGradient(a), stopGradient(b), pairs), options);
    return Object.assign(context, {
      crossView: detached,
      // What a probe computes has no gradient, so the losses do not share it.
      once: <T extends tf.Tensor>(key: string, compute: () => T): T => once(`probe/${key}`, compute),
    });
  }

  private lossContext(output: (pass: Pass) => BackboneOutput): LossContext {
    return Object.assign(Object.create(this.context) as LossContext, {
      output,
      pixels: this.pixels,
      crossView: this.relations.crossView(this.relationStep),
    });
  }

  private get relationStep(): RelationStep {
    const { batch, rects } = this.context;
    return { batch, rects, batchSize: this.parts.declarations.run.batchSize };
  }

  /** A pass's output without its gradient. */
  private readonly detached = (pass: Pass): BackboneOutput =>
    new Proxy(this.output(pass), {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (value instanceof tf.Tensor) return stopGradient(value);
        if (property === "block") return (index: number) => stopGradient(target.block(index));
        return value;
      },
    });

  // --- writes ----------------------------------------------------------------------------------------------

  /** Everything that changes state, behind one gate: a loss or gradient that is not finite changes nothing. */
  private write(total: tf.Scalar, grads: readonly (tf.Tensor | undefined)[]): void {
    const { state, accumulators, accumulation } = this.parts;
    const present = state.trainable.flatMap((parameter, i) => {
      const gradient = grads[i];
      return gradient ? [{ parameter, gradient }] : [];
    });
    if (present.length === 0) throw errors.lossUnreached([...this.terms]);
    if (this.parts.outputGradients) {
      for (const { parameter, gradient } of present) {
        this.tracer.output(stepOutputs.gradient(parameter.name), gradient);
      }
    }
    const gradients =
      accumulation > 1
        ? present.map(({ parameter, gradient }) => {
            const sum = this.tracer.read(accumulators.get(parameter.name)!);
            return { parameter, gradient: tf.add(sum, gradient) };
          })
        : present;
    const squaredNorms = gradients.map(({ gradient }) => squaredNorm(gradient));
    const allSquared = tf.addN(squaredNorms);
    const finite = tf.isFinite(tf.add(total, allSquared));
    this.tracer.output(stepOutputs.finite, tf.cast(finite, "float32"));
    this.tracer.output(stepOutputs.gradientNorm, tf.sqrt(allSquared));

    this.tracer.when(finite, () => {
      if (this.kind === "accumulate") {
        for (const { parameter, gradient } of gradients) {
          this.tracer.assign(accumulators.get(parameter.name)!, gradient);
        }
      } else {
        this.optimize(gradients, squaredNorms);
        this.follow();
        this.updateBuffers();
      }
      // Running statistics move with every micro-batch.
      for (const [variable, value] of this.context.headUpdates) this.tracer.assign(variable, value);
    });
  }

  private optimize(gradients: OptimizerStep["gradients"], squaredNorms: readonly tf.Scalar[]): void {
    const { optimizer, schedules, clipGrad, accumulation, accumulators } = this.parts;
    const clipped = gradients.map(({ parameter, gradient }, i) => ({
      parameter,
      gradient: clipGrad > 0 ? clipByNorm(gradient, squaredNorms[i]!, clipGrad) : gradient,
    }));
    const scalar = (handle: ScheduleHandle) => this.context.value(handle) as tf.Scalar;
    optimizer.apply({
      tracer: this.tracer,
      gradients: clipped,
      lr: scalar(schedules.lr),
      weightDecay: scalar(schedules.weightDecay),
      gate: (name) => scalar({ name }),
    });
    if (accumulation === 1) return;
    for (const { parameter, gradient } of gradients) {
      this.tracer.assign(accumulators.get(parameter.name)!, tf.zerosLike(gradient));
    }
  }

  /** Networks that follow another: theta_t = m theta_t + (1 - m) theta_s, after the optimizer; or a copy. */
  private follow(): void {
    const { declarations, state, schedules } = this.parts;
    for (const network of declarations.networks.values()) {
      const { from, update } = network;
      if (!from || update === "frozen") continue;
      const twins = declarations.parameters().filter((p) => declarations.isIn(p, network));
      const pairs = twins.map((p) => ({ own: state.get(p, network), source: state.get(p, from) }));
      if (update === "ema") {
        const rate = tf.sub(1, this.context.value(schedules.momentum)) as tf.Scalar;
        for (const { own, source } of pairs) this.tracer.blend(own, this.tracer.updated(source), rate);
      } else {
        const copies = tf.notEqual(this.context.value(schedules.copies.get(network.name)!), 0);
        this.tracer.when(copies, () => {
          for (const { own, source } of pairs) this.tracer.assign(own, this.tracer.updated(source));
        });
      }
    }
  }

  private updateBuffers(): void {
    const { declarations, hooks, state } = this.parts;
    const context: UpdateContext = Object.assign(Object.create(this.context) as UpdateContext, {
      output: this.output,
      write: (buffer: VariableHandle, value: tf.Tensor, network: Network = this.context.student) =>
        this.tracer.assign(state.get(declarations.variables.get(buffer.name)!, network), value),
    });
    float32(() => hooks.update.call(context));
  }
}
