/**
 * One training step as a pure function of tensors, in the order of the hooks:
 *
 *   pixels -> augment -> passes (other networks outside the tape, the student inside) -> relation -> loss
 *   -> gradients -> clip -> [if everything is finite] optimizer -> followers (EMA, copies) -> update
 */
import * as tf from "@tensorflow/tfjs-core";
import type {
  BackboneOutput,
  CrossView,
  LossContext,
  LossSink,
  Network,
  Pass,
  ScheduleHandle,
  UpdateContext,
  VariableHandle,
} from "../contexts.ts";
import type { Trace, Tracer, Variable } from "../engine/engine.ts";
import { described, isTensor } from "../described.ts";
import { errors } from "../errors.ts";
import { float32, squaredNorm, stopGradient } from "../math/index.ts";
import { currentScope, pluginOf, withScope } from "../scopes.ts";
import { STUDENT, type ParameterDeclaration } from "./declarations.ts";
import { featureSignals } from "./feature-signals.ts";
import { ForwardTrace, type ForwardParts } from "./forward.ts";
import { declared } from "./handles.ts";
import { notTensor } from "./not-tensor.ts";
import { clipByNorm, type ParameterGradient } from "./optimizer.ts";
import { TraceContext, type Variant } from "./step-context.ts";

/**
 * train: one batch, one update. With accumulation, micro-batches run `accumulate` and the last one `apply`.
 */
export type StepKind = "train" | "accumulate" | "apply";

/** What the micro-batch of this number does, from 1, of so many per update. */
export function stepKind(micro: number, accumulation: number): StepKind {
  if (accumulation === 1) return "train";
  return micro < accumulation ? "accumulate" : "apply";
}

export interface StepParts extends ForwardParts {
  readonly schedules: {
    readonly lr: ScheduleHandle;
    readonly weightDecay: ScheduleHandle;
    /** Where a network follows by it. */
    readonly momentum: ScheduleHandle | undefined;
    /** By network: 1 in steps in which it is copied. */
    readonly copies: ReadonlyMap<string, ScheduleHandle>;
  };
  /** Per tensor; 0 clips nothing. */
  readonly clipGrad: number;
  /** Micro-batches per update. */
  readonly accumulation: number;
  /** By trainable parameter name, present when accumulation > 1. */
  readonly accumulators: ReadonlyMap<string, Variable>;
  /** Also gives `featureSignals`. */
  readonly health?: boolean;
  /** Also gives every raw gradient, for tests and the ledger. */
  readonly outputGradients?: boolean;
}

/** Output names of a step program. */
export const stepOutputs = {
  finite: "finite",
  /** Without the probes, as are the norm and the gradients. */
  total: "loss",
  term: (name: string) => `loss/${name}`,
  metric: (name: string) => `metric/${name}`,
  gradientNorm: "gradNorm",
  gradient: (parameter: string) => `gradient/${parameter}`,
  probeGradient: (parameter: string) => `probeGradient/${parameter}`,
};

/** A value and its gradient to each trainable weight; none where the weight has no part in it. */
interface Differentiated {
  readonly value: tf.Scalar;
  readonly grads: readonly (tf.Tensor | undefined)[];
}

/** A weight's gradient over the micro-batches so far. */
interface Summed extends Pick<ParameterGradient, "parameter" | "gradient"> {
  readonly squaredNorm: tf.Scalar;
  /** Whether the loss has a part in it, or probes alone. */
  readonly ofLoss: boolean;
}

export function traceStep(parts: StepParts, kind: StepKind, variant: Variant): Trace {
  return TraceContext.trace(parts.declarations, parts.state, variant, (context) =>
    new StepTrace(parts, kind, context).run(),
  );
}

class StepTrace {
  private readonly parts: StepParts;
  private readonly kind: StepKind;
  private readonly context: TraceContext;
  private readonly tracer: Tracer;
  private readonly forward: ForwardTrace;
  /** Of the student, in the order of `state.trainable`. */
  private readonly weights: tf.Tensor[];
  /** Names of the loss terms, the probes' too. */
  private readonly terms = new Set<string>();
  private readonly probes: Differentiated[] = [];

  constructor(parts: StepParts, kind: StepKind, context: TraceContext) {
    this.parts = parts;
    this.kind = kind;
    this.context = context;
    this.tracer = context.tracer;
    this.forward = new ForwardTrace(parts, context);
    this.weights = parts.state.trainable.map(({ variable }) => context.tracer.read(variable));
  }

  run(): void {
    const { declarations } = this.parts;
    const passes = [...declarations.passes.values()].filter((pass) => this.forward.isActive(pass));
    const learning = passes.filter((pass) => pass.network.name === STUDENT);
    for (const { views } of passes) this.forward.pixels(views.group);
    // Nothing learns from the other networks, so they run before the tape is on.
    this.forward.runPasses(passes.filter((pass) => pass.network.name !== STUDENT));

    const loss = this.differentiate(() => {
      this.forward.runPasses(learning);
      return this.loss();
    });
    if (this.parts.health) withScope("core/health", () => this.measureFeatures());
    this.write(loss);
  }

  private measureFeatures(): void {
    for (const [name, value] of featureSignals(this.parts.declarations, this.forward))
      this.tracer.output(stepOutputs.metric(name), value);
  }

  /** A weight that the value does not depend on has no gradient, and is not updated. */
  private differentiate(value: () => tf.Scalar): Differentiated {
    return tf.engine().gradients(value, this.weights, undefined, true) as unknown as Differentiated;
  }

  // --- loss ------------------------------------------------------------------------------------------------

  /** The weighted sum of all terms but the probes', which are learned apart. */
  private loss(): tf.Scalar {
    const { hooks } = this.parts;
    const context = this.lossContext(this.forward.output);
    const terms: tf.Tensor[] = [];
    const weighted = (name: string, weight: number | ScheduleHandle, value: tf.Tensor): tf.Tensor => {
      const plugin = pluginOf(currentScope());
      const full = name === plugin ? name : `${plugin}.${name}`;
      if (this.terms.has(full)) throw errors.lossDuplicate(plugin, full);
      if (!isTensor(value)) throw notTensor(`the loss term "${full}"`, value);
      if (typeof weight === "number" ? !Number.isFinite(weight) : typeof weight !== "object")
        throw errors.lossWeight(plugin, full, described(weight));
      if (value.rank !== 0) throw errors.lossNotScalar(plugin, full, value.shape);
      this.terms.add(full);
      this.tracer.output(stepOutputs.term(full), value);
      return tf.mul(value, typeof weight === "number" ? weight : this.context.value(weight));
    };
    const sink: LossSink = {
      add: (name, weight, value) => void terms.push(weighted(name, weight, value)),
      addProbe: (name, weight, value) => this.probe(() => weighted(name, weight, value(this.probeContext()))),
      metric: (name, value) => {
        const full = `${pluginOf(currentScope())}.${name}`;
        if (!isTensor(value)) throw notTensor(`the metric "${full}"`, value);
        this.tracer.output(stepOutputs.metric(full), value);
      },
    };
    hooks.loss.call(sink, context);
    if (terms.length === 0) throw errors.noLoss();
    const total = tf.addN(terms) as tf.Scalar;
    this.tracer.output(stepOutputs.total, total);
    return this.shareOf(total);
  }

  /** What a micro-batch adds to the update's mean. */
  private shareOf(total: tf.Tensor): tf.Scalar {
    return tf.div(total, this.parts.accumulation) as tf.Scalar;
  }

  /** Differentiated by itself, inside the loss's tape: total, gradients and norm of the loss are the method's alone. */
  private probe(term: () => tf.Tensor): void {
    const { value, grads } = this.differentiate(() => this.shareOf(term()));
    this.requireOwnWeights(grads);
    const keep = <T extends tf.Tensor>(key: string | number, tensor: T) =>
      this.context.remember(`probe ${this.probes.length}/${key}`, () => tensor);
    this.probes.push({
      value: keep("value", value),
      grads: grads.map((gradient, i) => gradient && keep(i, gradient)),
    });
  }

  /** Throws PROBE_TEACHES where a probe would change weights of others, and LOSS_UNREACHED where it has none. */
  private requireOwnWeights(grads: Differentiated["grads"]): void {
    const { declarations, state } = this.parts;
    const plugin = pluginOf(currentScope());
    const reached = state.trainable.filter((_, i) => grads[i] !== undefined);
    if (reached.length === 0) throw errors.lossUnreached([plugin]);
    for (const { name } of reached) {
      const { owner } = declarations.variables.get(name) as ParameterDeclaration;
      if (owner !== plugin)
        throw errors.probeTeaches(plugin, name, owner === "core" ? "the backbone" : owner);
    }
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
      pixels: this.forward.pixels,
      crossView: this.forward.relations.crossView(this.forward.relationStep),
    });
  }

  /** A pass's output without its gradient. */
  private readonly detached = (pass: Pass): BackboneOutput => {
    const output = this.forward.output(pass);
    const { backbone } = this.parts.declarations;
    const parameters = this.context.parameters(pass.network, "backbone");
    const fixed = (name: string) => stopGradient(parameters(name));
    // Around an empty object: a proxy gives constant properties of its own target only as they are.
    return new Proxy(Object.create(output) as BackboneOutput, {
      get: (_, property) => {
        const value: unknown = Reflect.get(output, property, output);
        if (value instanceof tf.Tensor) return stopGradient(value);
        if (property === "block") return (index: number) => stopGradient(output.block(index));
        // What a probe makes of tokens before the norm keeps its gradient.
        if (property === "norm") return (rows: tf.Tensor2D) => backbone.norm(fixed, rows);
        return value;
      },
    });
  };

  // --- writes ----------------------------------------------------------------------------------------------

  /** Everything that changes state, behind one gate: a loss or gradient that is not finite changes nothing. */
  private write(loss: Differentiated): void {
    const { state, accumulators, accumulation } = this.parts;
    if (loss.grads.every((gradient) => gradient === undefined)) throw errors.lossUnreached([...this.terms]);
    const present = state.trainable.flatMap((parameter, i) => {
      const { name } = parameter;
      const own = loss.grads[i];
      const ofProbes = this.probes.flatMap(({ grads }) => grads[i] ?? []);
      if (this.parts.outputGradients) {
        if (own) this.tracer.output(stepOutputs.gradient(name), own);
        if (ofProbes.length > 0) this.tracer.output(stepOutputs.probeGradient(name), tf.addN(ofProbes));
      }
      const all = own ? [own, ...ofProbes] : ofProbes;
      if (all.length === 0) return [];
      let gradient = all.length === 1 ? all[0]! : tf.addN(all);
      if (accumulation > 1) gradient = tf.add(this.tracer.read(accumulators.get(name)!), gradient);
      return [{ parameter, gradient, squaredNorm: squaredNorm(gradient), ofLoss: own !== undefined }];
    });
    const squared = (ofLoss: boolean) =>
      present.filter((one) => one.ofLoss === ofLoss).map((one) => one.squaredNorm);
    const lossSquared = tf.addN(squared(true));
    const probes = [...this.probes.map(({ value }) => value), ...squared(false)];
    const finite = tf.isFinite(tf.addN([loss.value, lossSquared, ...probes]));
    this.tracer.output(stepOutputs.finite, tf.cast(finite, "float32"));
    this.tracer.output(stepOutputs.gradientNorm, tf.sqrt(lossSquared));

    this.tracer.when(finite, () => {
      if (this.kind === "accumulate") {
        for (const { parameter, gradient } of present) {
          this.tracer.assign(accumulators.get(parameter.name)!, gradient);
        }
      } else {
        this.optimize(present);
        this.follow();
        this.updateBuffers();
      }
      // Running statistics move with every micro-batch.
      for (const [variable, value] of this.context.headUpdates) this.tracer.assign(variable, value);
    });
  }

  private optimize(gradients: readonly Summed[]): void {
    const { state, schedules, clipGrad, accumulation, accumulators } = this.parts;
    const scalar = (value: ScheduleHandle | number) =>
      typeof value === "number" ? tf.scalar(value) : (this.context.value(value) as tf.Scalar);
    // Weights of one layer share a rate.
    const rates = new Map<string, tf.Scalar>();
    const scaled = (lr: ScheduleHandle | number, by: number): tf.Scalar => {
      if (by === 1) return scalar(lr);
      const key = `${typeof lr === "number" ? lr : lr.name} ${by}`;
      const rate = rates.get(key) ?? tf.mul(scalar(lr), by);
      rates.set(key, rate);
      return rate;
    };
    const own = gradients.map(({ parameter, gradient, squaredNorm }): ParameterGradient => {
      const { lr = schedules.lr, weightDecay = schedules.weightDecay } = parameter.group ?? {};
      const clip = parameter.group?.clipGrad ?? clipGrad;
      return {
        parameter,
        ...clipByNorm(gradient, squaredNorm, clip),
        lr: scaled(lr, parameter.lrScale),
        weightDecay: scalar(weightDecay),
      };
    });
    for (const { optimizer, members } of state.optimizers) {
      optimizer.apply({
        tracer: this.tracer,
        gradients: own.filter(({ parameter }) => members.has(parameter.name)),
        gate: (name) => scalar({ name }),
      });
    }
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
        const rate = tf.sub(1, this.context.value(schedules.momentum!)) as tf.Scalar;
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
      output: this.forward.output,
      write: (handle: VariableHandle, value: tf.Tensor, network: Network = this.context.student) => {
        const buffer = declared("buffer", declarations.variables, handle);
        if (buffer.kind !== "buffer") throw errors.notBuffer(pluginOf(currentScope()), buffer.name);
        if (!isTensor(value)) throw notTensor(`the buffer "${buffer.name}"`, value);
        this.tracer.assign(state.get(buffer, network), value);
      },
    });
    float32(() => hooks.update.call(context));
  }
}
