/** The OPTIMIZER service: gradients to writes. AdamW is the default. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tracer, Variable } from "../engine/engine.ts";
import type { ScheduleHandle } from "../handles.ts";

/** Weights with an optimizer, learning rate, weight decay or clipping of their own. */
export interface OptimizerGroup {
  readonly name: string;
}

/** What is left out is the run's. */
export interface OptimizerGroupSpec {
  readonly lr?: number | ScheduleHandle;
  readonly weightDecay?: number | ScheduleHandle;
  /** Largest norm of each tensor's gradient; 0 for no limit. */
  readonly clipGrad?: number;
  /** An instance for this group alone; its state is saved under the group's name. */
  readonly optimizer?: Optimizer;
}

/** A weight that gets gradients. */
export interface TrainableParameter {
  /** Name without the network, e.g. "backbone.norm.bias". */
  readonly name: string;
  readonly shape: readonly number[];
  readonly variable: Variable;
  /** The plugin's wish; undefined leaves it to the optimizer's rule. */
  readonly weightDecay: boolean | undefined;
  /** With numbers or an optimizer of its own; undefined for the run's. */
  readonly group: (OptimizerGroup & OptimizerGroupSpec) | undefined;
  /** What its learning rate is multiplied by. */
  readonly lrScale: number;
  /** The schedule that opens its updates, if any. */
  readonly gate: string | undefined;
}

/** A parameter's gradient, clipped, and the numbers of its group. */
export interface ParameterGradient {
  readonly parameter: TrainableParameter;
  /** scale * unclipped. */
  readonly gradient: tf.Tensor;
  /** For an update that clips in passing. */
  readonly unclipped: tf.Tensor;
  readonly scale: tf.Scalar;
  readonly lr: tf.Scalar;
  readonly weightDecay: tf.Scalar;
}

/** What an optimizer gets, once an update. */
export interface OptimizerStep {
  readonly tracer: Tracer;
  readonly gradients: readonly ParameterGradient[];
  /** The current value of a gate's schedule: updates happen while it is not 0. */
  readonly gate: (name: string) => tf.Scalar;
}

/** What OPTIMIZER is bound to. */
export interface Optimizer {
  readonly name: string;
  /** Declares the optimizer's own state, zero at the start and saved in checkpoints. */
  declare(
    parameters: readonly TrainableParameter[],
    state: (name: string, shape: readonly number[]) => Variable,
  ): void;
  /** Writes the parameters and the state. Traced inside the finite gate: a bad step changes nothing. */
  apply(step: OptimizerStep): void;
}

/** `train.adam` and `train.decayBiases` of the config. */
export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** SERE's official code decays biases, DINO's and iBOT's do not. */
  readonly decayBiases: boolean;
}

/**
 * AdamW (arXiv 1711.05101). Decayed: tensors of more than one dimension, and biases as an option; norm weights
 * never are. Each gate has its own count of updates, so that bias correction is right for what was held back.
 */
export class AdamW implements Optimizer {
  readonly name = "adamw";
  private readonly options: AdamWOptions;
  private readonly moments = new Map<string, { m: Variable; v: Variable }>();
  private readonly counts = new Map<string, Variable>();

  constructor(options: AdamWOptions) {
    this.options = options;
  }

  declare(
    parameters: readonly TrainableParameter[],
    state: (name: string, shape: readonly number[]) => Variable,
  ): void {
    for (const { name, shape, gate = "" } of parameters) {
      this.moments.set(name, { m: state(`adam.m/${name}`, shape), v: state(`adam.v/${name}`, shape) });
      if (!this.counts.has(gate)) this.counts.set(gate, state(`adam.step/${gate || "main"}`, []));
    }
  }

  apply({ tracer, gradients, gate }: OptimizerStep): void {
    const { beta1, beta2, epsilon } = this.options;
    for (const [name, count] of this.counts) {
      const members = gradients.filter(({ parameter }) => (parameter.gate ?? "") === name);
      const update = () => {
        const step = tf.add(tracer.read(count), 1) as tf.Scalar;
        for (const { parameter, unclipped: gradient, scale, lr, weightDecay } of members) {
          const { m, v } = this.moments.get(parameter.name)!;
          const decay = this.decays(parameter) ? weightDecay : undefined;
          const { variable } = parameter;
          tracer.adam({
            variable,
            m,
            v,
            gradient,
            scale,
            lr,
            weightDecay: decay,
            step,
            beta1,
            beta2,
            epsilon,
          });
        }
        tracer.assign(count, step);
      };
      if (name === "") update();
      else tracer.when(tf.notEqual(gate(name), 0), update);
    }
  }

  /** Whether weight decay applies to a parameter. */
  decays(parameter: TrainableParameter): boolean {
    return decaysByDefault(parameter, this.options.decayBiases);
  }
}

/** The plugin's wish, or else: tensors of more than one dimension are decayed, and biases as an option; norms never. */
export function decaysByDefault(
  { name, shape, weightDecay }: TrainableParameter,
  decayBiases: boolean,
): boolean {
  return weightDecay ?? (shape.length > 1 || (decayBiases && name.endsWith(".bias")));
}

/** Clips each tensor by its own norm, with scale = min(1, clip / (||g|| + 1e-6)); a clip of 0 clips nothing. */
export function clipByNorm(
  unclipped: tf.Tensor,
  squaredNorm: tf.Scalar,
  clip: number,
): Pick<ParameterGradient, "gradient" | "unclipped" | "scale"> {
  if (clip === 0) return { gradient: unclipped, unclipped, scale: tf.scalar(1) };
  const scale = tf.minimum(1, tf.div(clip, tf.add(tf.sqrt(squaredNorm), 1e-6))) as tf.Scalar;
  return { gradient: tf.mul(unclipped, scale), unclipped, scale };
}
