/** Lion (Chen et al., arXiv 2302.06675, algorithm 2): steps of one size, by the sign of a momentum. */
import {
  decaysByDefault,
  tf,
  type Optimizer,
  type OptimizerStep,
  type TrainableParameter,
  type Variable,
} from "../../core/plugin.ts";

export interface LionOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly decayBiases: boolean;
}

/**
 * With gradient g, momentum m, weight p, learning rate eta and decay lambda:
 *
 *   c = beta1 m + (1 - beta1) g,   p <- p - eta (sign(c) + lambda p),   m <- beta2 m + (1 - beta2) g
 */
export class Lion implements Optimizer {
  readonly name = "lion";
  private readonly options: LionOptions;
  private readonly momenta = new Map<string, Variable>();

  constructor(options: LionOptions) {
    this.options = options;
  }

  declare(
    parameters: readonly TrainableParameter[],
    state: (name: string, shape: readonly number[]) => Variable,
  ): void {
    for (const { name, shape } of parameters) this.momenta.set(name, state(`lion.m/${name}`, shape));
  }

  apply({ tracer, gradients, gate }: OptimizerStep): void {
    const { beta1, beta2, decayBiases } = this.options;
    const blend = (m: tf.Tensor, g: tf.Tensor, beta: number) => tf.add(tf.mul(m, beta), tf.mul(g, 1 - beta));
    for (const { parameter, gradient, lr, weightDecay } of gradients) {
      const update = () => {
        const momentum = this.momenta.get(parameter.name)!;
        const [p, m] = [tracer.read(parameter.variable), tracer.read(momentum)];
        const direction = tf.sign(blend(m, gradient, beta1));
        const decayed = decaysByDefault(parameter, decayBiases)
          ? tf.add(direction, tf.mul(p, weightDecay))
          : direction;
        tracer.assign(parameter.variable, tf.sub(p, tf.mul(decayed, lr)));
        tracer.assign(momentum, blend(m, gradient, beta2));
      };
      if (parameter.gate === undefined) update();
      else tracer.when(tf.notEqual(gate(parameter.gate), 0), update);
    }
  }
}
