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
import { errors } from "../errors.ts";
import { float32, squaredNorm, stopGradient } from "../math/index.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import { STUDENT } from "./declarations.ts";
import { ForwardTrace, type ForwardParts } from "./forward.ts";
import { clipByNorm, type ParameterGradient } from "./optimizer.ts";
import { TraceContext, type Variant } from "./step-context.ts";

/**
 * train: one batch, one update. With accumulation, micro-batches run `accumulate` and the last one `apply`.
 */
export type StepKind = "train" | "accumulate" | "apply";

export interface StepParts extends ForwardParts {
  readonly schedules: {
    readonly lr: ScheduleHandle;
    readonly weightDecay: ScheduleHandle;
    readonly momentum: ScheduleHandle;
    /** By network: 1 in steps in which it is copied. */
    readonly copies: ReadonlyMap<string, ScheduleHandle>;
  };
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

class StepTrace {
  private readonly parts: StepParts;
  private readonly kind: StepKind;
  private readonly context: TraceContext;
  private readonly tracer: Tracer;
  private readonly forward: ForwardTrace;
  /** Names of the loss terms. */
  private readonly terms = new Set<string>();

  constructor(parts: StepParts, kind: StepKind, context: TraceContext) {
    this.parts = parts;
    this.kind = kind;
    this.context = context;
    this.tracer = context.tracer;
    this.forward = new ForwardTrace(parts, context);
  }

  run(): void {
    const { state, declarations } = this.parts;
    const passes = [...declarations.passes.values()].filter((pass) => this.forward.isActive(pass));
    const learning = passes.filter((pass) => pass.network.name === STUDENT);
    for (const { views } of passes) this.forward.pixels(views.group);
    // Nothing learns from the other networks, so they run before the tape is on.
    this.forward.runPasses(passes.filter((pass) => pass.network.name !== STUDENT));

    const weights = state.trainable.map(({ variable }) => this.tracer.read(variable));
    const learn = () => {
      this.forward.runPasses(learning);
      return this.loss();
    };
    // A weight that the loss does not reach has no gradient and is not updated.
    const { value: total, grads } = tf.engine().gradients(learn, weights, undefined, true);
    this.write(total as tf.Scalar, grads as (tf.Tensor | undefined)[]);
  }

  // --- loss ------------------------------------------------------------------------------------------------

  /** The weighted sum of all terms. */
  private loss(): tf.Scalar {
    const { hooks } = this.parts;
    const context = this.lossContext(this.forward.output);
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
      pixels: this.forward.pixels,
      crossView: this.forward.relations.crossView(this.forward.relationStep),
    });
  }

  /** A pass's output without its gradient. */
  private readonly detached = (pass: Pass): BackboneOutput =>
    new Proxy(this.forward.output(pass), {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (value instanceof tf.Tensor) return stopGradient(value);
        if (property === "block") return (index: number) => stopGradient(target.block(index));
        if (property === "norm") return (rows: tf.Tensor2D) => stopGradient(target.norm(rows));
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

  private optimize(
    gradients: readonly Pick<ParameterGradient, "parameter" | "gradient">[],
    squaredNorms: readonly tf.Scalar[],
  ): void {
    const { state, schedules, clipGrad, accumulation, accumulators } = this.parts;
    const scalar = (value: ScheduleHandle | number) =>
      typeof value === "number" ? tf.scalar(value) : (this.context.value(value) as tf.Scalar);
    const own = gradients.map(({ parameter, gradient }, i): ParameterGradient => {
      const { lr = schedules.lr, weightDecay = schedules.weightDecay } = parameter.group ?? {};
      const clip = parameter.group?.clipGrad ?? clipGrad;
      return {
        parameter,
        gradient: clip > 0 ? clipByNorm(gradient, squaredNorms[i]!, clip) : gradient,
        lr: scalar(lr),
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
      output: this.forward.output,
      write: (buffer: VariableHandle, value: tf.Tensor, network: Network = this.context.student) =>
        this.tracer.assign(state.get(declarations.variables.get(buffer.name)!, network), value),
    });
    float32(() => hooks.update.call(context));
  }
}
