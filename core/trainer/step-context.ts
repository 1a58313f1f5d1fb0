/** The StepContext of one trace: handles become tensors of the program being traced. */
import * as tf from "@tensorflow/tfjs-core";
import type {
  BatchStatistics,
  HeadHandle,
  InputHandle,
  Network,
  Parameters,
  PhaseHandle,
  PhaseValue,
  RunInfo,
  ScheduleHandle,
  StepContext,
  VariableHandle,
} from "../contexts.ts";
import type { Trace, Tracer } from "../engine/engine.ts";
import { STUDENT, type Declarations } from "./declarations.ts";
import type { ModelState } from "./state.ts";

/** By phase name, the value that this program is traced for. */
export type Phases = Readonly<Record<string, PhaseValue>>;

/** Names of the inputs that the trainer feeds, besides schedules and samplers by their own names. */
export const inputNames = {
  pixels: (group: string) => `pixels/${group}`,
  rects: (group: string) => `rects/${group}`,
  labels: "labels",
  dropPath: (pass: string) => `dropPath/${pass}`,
};

const oneProcess: BatchStatistics = { mean: (x) => x, sum: (x) => x, gather: (x) => x };

export class TraceContext implements StepContext {
  readonly run: RunInfo;
  readonly batch = oneProcess;
  readonly tracer: Tracer;
  private readonly declarations: Declarations;
  private readonly state: ModelState;
  private readonly phases: Phases;
  /** Tensors that outlive tfjs's scopes until the trace ends. */
  private readonly kept = new Map<string, tf.Tensor>();

  /** A program's body over a context of its own, whose tensors are freed however the body ends. */
  static trace(
    declarations: Declarations,
    state: ModelState,
    phases: Phases,
    body: (context: TraceContext) => void,
  ): Trace {
    return (tracer) => {
      const context = new TraceContext(tracer, declarations, state, phases);
      try {
        body(context);
      } finally {
        context.dispose();
      }
    };
  }

  private constructor(tracer: Tracer, declarations: Declarations, state: ModelState, phases: Phases) {
    this.run = declarations.run;
    this.tracer = tracer;
    this.declarations = declarations;
    this.state = state;
    this.phases = phases;
  }

  readonly value = (handle: ScheduleHandle | InputHandle): tf.Tensor => {
    const shape = "shape" in handle ? handle.shape : [];
    return this.input(handle.name, shape, "dtype" in handle ? handle.dtype : "float32");
  };

  readonly read = (variable: VariableHandle, network: Network = this.student): tf.Tensor => {
    return this.tracer.read(this.state.get(this.declarations.variables.get(variable.name)!, network));
  };

  readonly apply = (head: HeadHandle, network: Network, rows: tf.Tensor2D): tf.Tensor2D => {
    return this.declarations.heads.get(head.name)!.module.forward(this.parameters(network, head.name), rows);
  };

  readonly phase = <T extends PhaseValue>(handle: PhaseHandle<T>): T => this.phases[handle.name] as T;

  readonly once = <T extends tf.Tensor>(key: string, compute: () => T): T =>
    this.remember(`once/${key}`, compute);

  readonly rects = (group: string): tf.Tensor2D => {
    const { count } = this.declarations.viewGroup(group);
    return this.input(inputNames.rects(group), [count * this.run.batchSize, 5], "float32") as tf.Tensor2D;
  };

  get labels(): tf.Tensor1D {
    return this.input(inputNames.labels, [this.run.batchSize], "int32") as tf.Tensor1D;
  }

  get student(): Network {
    return this.declarations.networks.get(STUDENT)!;
  }

  /** A fed tensor, one placeholder per name. */
  input(name: string, shape: readonly number[], dtype: "float32" | "int32" | "uint8"): tf.Tensor {
    return this.remember(`input/${name}`, () => this.tracer.input(name, shape, dtype));
  }

  /** A network's weights under a prefix: the backbone's or a head's. */
  parameters(network: Network, prefix: string): Parameters {
    return (name) => this.read({ name: `${prefix}.${name}`, shape: [] }, network);
  }

  remember<T extends tf.Tensor>(key: string, compute: () => T): T {
    let value = this.kept.get(key);
    if (!value) this.kept.set(key, (value = tf.keep(compute())));
    return value as T;
  }

  private dispose(): void {
    for (const value of this.kept.values()) value.dispose();
  }
}
