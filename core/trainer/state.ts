/** The run's variables in the engine: each network's weights and buffers, shared buffers, optimizer state. */
import type { Initializer, Network } from "../contexts.ts";
import type { Engine, Variable } from "../engine/engine.ts";
import { errors } from "../errors.ts";
import { Random } from "../random.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import type { Declarations, ParameterDeclaration, VariableDeclaration } from "./declarations.ts";
import { shareOut, type OptimizerShare } from "./optimizer-groups.ts";
import type { Optimizer, TrainableParameter } from "./optimizer.ts";

interface Initial {
  readonly variable: Variable;
  /** What the value is drawn for: networks that follow the student start as its copy. */
  readonly purpose: string;
  readonly init: Initializer;
}

const ZEROS: Initializer = { kind: "zeros" };

export class ModelState {
  /** Every variable, in the order of checkpoints. */
  readonly variables: readonly Variable[];
  readonly trainable: readonly TrainableParameter[];
  /** Who moves which of them. */
  readonly optimizers: readonly OptimizerShare[];
  private readonly byKey = new Map<string, Variable>();
  private readonly initials: Initial[] = [];

  constructor(engine: Engine, declarations: Declarations, optimizer: Optimizer) {
    const networks = [...declarations.networks.values()];
    const add = (name: string, shape: readonly number[], init: Initializer, purpose: string): Variable => {
      const variable = engine.variable(name, shape);
      this.initials.push({ variable, init, purpose });
      return variable;
    };
    for (const declared of declarations.variables.values()) {
      const owners = networks.filter((network) => declarations.isIn(declared, network));
      for (const network of owners) {
        const name = variableKey(declared, network);
        this.byKey.set(name, add(name, declared.shape, declared.init, declared.name));
      }
      if (declared.kind === "buffer" && !declared.perNetwork) {
        const name = variableKey(declared, undefined);
        this.byKey.set(name, add(name, declared.shape, declared.init, declared.name));
      }
    }
    const student = networks.find((network) => network.from === undefined);
    this.trainable = student
      ? declarations
          .parameters()
          .filter((p) => p.trainable)
          .map((p) => this.trainableParameter(p, student, declarations.lrScaleOf(p.name)))
      : [];
    this.optimizers = shareOut(this.trainable, optimizer, (name, shape) => add(name, shape, ZEROS, name));
    this.variables = this.initials.map((i) => i.variable);
  }

  /** The engine's variable behind a declaration. Throws NOT_IN_NETWORK. */
  get(declared: VariableDeclaration, network: Network): Variable {
    const shared = declared.kind === "buffer" && !declared.perNetwork;
    const variable = this.byKey.get(variableKey(declared, shared ? undefined : network));
    if (!variable) throw errors.notInNetwork(pluginOf(currentScope()), declared.name, network.name);
    return variable;
  }

  /**
   * The values that training starts from: those that are given by name, and draws that depend on the seed and each
   * variable's name alone.
   */
  *initialValues(
    seed: number,
    given: ReadonlyMap<string, Float32Array> = new Map(),
  ): Generator<readonly [Variable, Float32Array]> {
    let last: { purpose: string; value: Float32Array } | undefined;
    for (const { variable, init, purpose } of this.initials) {
      const value = given.get(variable.name);
      if (value) {
        yield [variable, value];
        continue;
      }
      if (last?.purpose !== purpose) {
        last = { purpose, value: initialValue(init, variable.size, new Random(seed, "init", purpose)) };
      }
      yield [variable, last.value];
    }
  }

  /** Weights of one network, as the parameter count that papers state. */
  parameterCount(): number {
    return this.trainable.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  }

  private trainableParameter(p: ParameterDeclaration, student: Network, lrScale: number): TrainableParameter {
    const { name, shape, weightDecay, group } = p;
    return { name, shape, variable: this.get(p, student), weightDecay, group, lrScale, gate: p.gate?.name };
  }
}

function variableKey({ name }: VariableDeclaration, network: Network | undefined): string {
  return `${network?.name ?? "state"}/${name}`;
}

/** What a parameter starts as. */
export function initialValue(init: Initializer, size: number, random: Random): Float32Array {
  const values = new Float32Array(size);
  switch (init.kind) {
    case "zeros":
      return values;
    case "ones":
      return values.fill(1);
    case "constant":
      return values.fill(init.value);
    case "uniform":
      return values.map(() => random.uniform(-init.bound, init.bound));
    case "truncatedNormal":
      return values.map(() => truncatedNormal(random, init.std));
  }
}

/** Normal with mean 0, redrawn outside -2 … 2. */
function truncatedNormal(random: Random, std: number): number {
  let value: number;
  do value = random.normal() * std;
  while (Math.abs(value) > 2);
  return value;
}
