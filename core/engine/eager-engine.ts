/** The engine that runs a program's body op by op on a tfjs backend: for debugging, tests and small work. */
import * as tf from "@tensorflow/tfjs-core";
import { errors } from "../errors.ts";
import { currentScope, withScope } from "../scopes.ts";
import { onBackend } from "./backends.ts";
import type {
  AdamUpdate,
  Engine,
  EngineDescription,
  Feeds,
  HostArray,
  InputType,
  NonFinite,
  Program,
  Trace,
  Tracer,
  Variable,
} from "./engine.ts";
import { checkedFeed } from "./feeds.ts";
import { namingOps } from "./failed-ops.ts";
import { differentiated, keepTapeScopes } from "./tape-scopes.ts";
import { watchingTfjs } from "./tfjs-engine.ts";

export interface EagerEngineOptions {
  /** A registered tfjs backend: "tensorflow" or "cpu". */
  readonly backend: "tensorflow" | "cpu";
  readonly library: string;
}

class EagerProgram implements Program {
  readonly name: string;
  readonly trace: Trace;
  readonly engine: EagerEngine;

  constructor(engine: EagerEngine, name: string, trace: Trace) {
    this.engine = engine;
    this.name = name;
    this.trace = trace;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- runs on this thread
  async run(feeds: Feeds): Promise<Record<string, HostArray>> {
    return this.engine.execute(this.name, this.trace, feeds, true);
  }
}

export class EagerEngine implements Engine {
  readonly description: EngineDescription;
  private readonly backend: string;
  private readonly variables = new Map<string, Variable>();
  private readonly values = new Map<string, tf.Tensor>();

  constructor({ backend, library }: EagerEngineOptions) {
    this.backend = backend;
    this.description = { kind: "eager", backend, device: "CPU", precision: "fp32", jit: "off", library };
  }

  variable(name: string, shape: readonly number[]): Variable {
    if (this.variables.has(name)) throw errors.variableDeclaredTwice(name);
    const variable = { name, shape, size: shape.reduce((a, b) => a * b, 1) };
    this.variables.set(name, variable);
    return variable;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the interface allows a device copy
  async load(values: Iterable<readonly [Variable, Float32Array]>): Promise<void> {
    onBackend(this.backend, () => {
      for (const [variable, value] of values) {
        if (!this.variables.has(variable.name)) throw errors.variableUnknown(variable.name);
        if (value.length !== variable.size)
          throw errors.variableValues(variable.name, variable.size, value.length);
        this.set(variable, tf.keep(tf.tensor(value.slice(), [...variable.shape], "float32")));
      }
    });
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the interface allows a device copy
  async save(variables: readonly Variable[]): Promise<Float32Array[]> {
    return variables.map((variable) => Float32Array.from(this.get(variable).dataSync()));
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- nothing is compiled
  async program(name: string, trace: Trace): Promise<Program> {
    return new EagerProgram(this, name, trace);
  }

  /** Nothing is frozen: every run executes the body again. */
  verify(): void {}

  // eslint-disable-next-line @typescript-eslint/require-await -- runs on this thread
  async firstNonFinite(program: Program, feeds: Feeds): Promise<NonFinite | undefined> {
    if (!(program instanceof EagerProgram && program.engine === this)) {
      throw new TypeError("the program belongs to another engine");
    }
    let first: NonFinite | undefined;
    const watch = (op: string, outputs: readonly tf.Tensor[]) => {
      if (first) return;
      const bad = outputs.some((t) => t.dtype === "float32" && !t.dataSync().every(Number.isFinite));
      if (bad) first = { op, scope: currentScope(), gradientOf: differentiated() };
    };
    watchingKernels(watch, () => this.execute(program.name, program.trace, feeds, false));
    return first;
  }

  close(): void {
    for (const value of this.values.values()) value.dispose();
    this.values.clear();
  }

  /** Runs the body; its writes take effect at the end, when `commit`. */
  execute(name: string, trace: Trace, feeds: Feeds, commit: boolean): Record<string, HostArray> {
    return onBackend(this.backend, () => {
      const tracer = new EagerTracer(name, feeds, (variable) => this.get(variable));
      let done = false;
      try {
        withScope("core", () => namingOps(() => keepTapeScopes(() => trace(tracer))));
        done = commit;
      } finally {
        for (const [variable, value] of tracer.pending) {
          if (done) this.set(variable, value);
          else value.dispose();
        }
      }
      return tracer.outputs;
    });
  }

  private get(variable: Variable): tf.Tensor {
    const value = this.values.get(variable.name);
    if (!value) throw errors.variableUnknown(variable.name);
    return value;
  }

  private set(variable: Variable, value: tf.Tensor): void {
    this.values.get(variable.name)?.dispose();
    this.values.set(variable.name, value);
  }
}

class EagerTracer implements Tracer {
  readonly outputs: Record<string, HostArray> = {};
  readonly pending = new Map<Variable, tf.Tensor>();
  private readonly program: string;
  private readonly feeds: Feeds;
  private readonly stored: (variable: Variable) => tf.Tensor;

  constructor(program: string, feeds: Feeds, stored: (variable: Variable) => tf.Tensor) {
    this.program = program;
    this.feeds = feeds;
    this.stored = stored;
  }

  input(name: string, shape: readonly number[], type: InputType): tf.Tensor {
    const values = checkedFeed(this.program, { name, shape, type }, this.feeds[name]);
    // A copy: the caller may use the array again.
    const own = type === "uint8" ? Float32Array.from(values) : values.slice();
    return tf.tensor(own, [...shape], type === "int32" ? "int32" : "float32");
  }

  read(variable: Variable): tf.Tensor {
    return this.stored(variable);
  }

  updated(variable: Variable): tf.Tensor {
    return this.pending.get(variable) ?? this.stored(variable);
  }

  output(name: string, value: tf.Tensor): void {
    this.outputs[name] = value.dataSync().slice() as HostArray;
  }

  assign(variable: Variable, value: tf.Tensor): void {
    if (value.shape.join() !== variable.shape.join()) {
      throw errors.assignShape(variable.name, variable.shape, value.shape);
    }
    this.stored(variable); // a variable has a value before its first write
    this.pending.get(variable)?.dispose();
    this.pending.set(variable, tf.keep(value.clone()));
  }

  blend(variable: Variable, value: tf.Tensor, rate: tf.Scalar): void {
    const old = this.updated(variable);
    this.assign(variable, tf.sub(old, tf.mul(rate, tf.sub(old, value))));
  }

  adam({ variable, m, v, scale, lr, weightDecay, step, beta1, beta2, epsilon, ...update }: AdamUpdate): void {
    const gradient = scale ? tf.mul(update.gradient, scale) : update.gradient;
    const weights = this.updated(variable);
    const decayed = weightDecay ? tf.sub(weights, tf.mul(tf.mul(lr, weightDecay), weights)) : weights;
    // 1 - beta as the graph engine's kernel computes it, in float32
    const blend = (old: tf.Tensor, fresh: tf.Tensor, beta: number) =>
      tf.add(old, tf.mul(tf.sub(fresh, old), Math.fround(1 - Math.fround(beta))));
    const first = blend(this.updated(m), gradient, beta1);
    const second = blend(this.updated(v), tf.square(gradient), beta2);
    const unbias = (beta: number) => tf.sub(1, tf.pow(tf.scalar(beta), step));
    const correction = tf.sqrt(unbias(beta2));
    const rate = tf.div(tf.mul(lr, correction), unbias(beta1));
    const change = tf.div(tf.mul(rate, first), tf.add(tf.sqrt(second), tf.mul(epsilon, correction)));
    this.assign(variable, tf.sub(decayed, change));
    this.assign(m, first);
    this.assign(v, second);
  }

  when(condition: tf.Tensor, body: () => void): void {
    if (condition.dataSync()[0]) body();
  }
}

/** Calls `watch` after every kernel that tfjs runs inside `run`, with what it gave. */
function watchingKernels(
  watch: (kernel: string, outputs: readonly tf.Tensor[]) => void,
  run: () => void,
): void {
  // A kernel runs others to keep a copy of its result: they are part of it.
  let depth = 0;
  watchingTfjs(
    ({ runKernel }) => ({
      runKernel(name, ...rest) {
        depth++;
        const result = runKernel(name, ...rest);
        depth--;
        if (depth === 0) watch(name, Array.isArray(result) ? result : [result]);
        return result;
      },
    }),
    run,
  );
}
