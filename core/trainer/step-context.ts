/** The StepContext of one trace: handles become tensors of the program being traced. */
import * as tf from "@tensorflow/tfjs-core";
import type {
  BatchStatistics,
  HeadHandle,
  HeadState,
  InputHandle,
  MaskedPatches,
  MaskHandle,
  Network,
  Parameters,
  PhaseHandle,
  PhaseValue,
  RunInfo,
  ScheduleHandle,
  StepContext,
  VariableHandle,
} from "../contexts.ts";
import { errors } from "../errors.ts";
import type { Trace, Tracer, Variable } from "../engine/engine.ts";
import { float32 } from "../math/index.ts";
import { STUDENT, type Declarations } from "./declarations.ts";
import { declared } from "./handles.ts";
import type { ModelState } from "./state.ts";

/** What may differ in structure from step to step; each variant is a program of its own. */
export interface Variant {
  readonly phases: Readonly<Record<string, PhaseValue>>;
  /** Rows of the inputs that declare none. */
  readonly rows: Readonly<Record<string, number>>;
}

/** Of programs that read neither phases nor inputs of varying size. */
export const plainVariant: Variant = { phases: {}, rows: {} };

/** Names of the inputs that the trainer feeds, besides schedules and samplers by their own names. */
export const inputNames = {
  pixels: (group: string) => `pixels/${group}`,
  rects: (group: string) => `rects/${group}`,
  labels: "labels",
  /** Read by no step, but by what feeds it. */
  indices: "indices",
  dropPath: (pass: string) => `dropPath/${pass}`,
};

const oneProcess: BatchStatistics = { mean: (x) => x, sum: (x) => x, gather: (x) => x };

export class TraceContext implements StepContext {
  readonly run: RunInfo;
  readonly batch = oneProcess;
  readonly tracer: Tracer;
  private readonly declarations: Declarations;
  private readonly state: ModelState;
  private readonly variant: Variant;
  private readonly fed: ReadonlyMap<string, ScheduleHandle | InputHandle>;
  /** What heads made of their buffers, by variable. */
  readonly headUpdates = new Map<Variable, tf.Tensor>();
  /** Tensors that outlive tfjs's scopes until the trace ends. */
  private readonly kept = new Map<string, tf.Tensor>();

  /** A program's body over a context of its own, whose tensors are freed however the body ends. */
  static trace(
    declarations: Declarations,
    state: ModelState,
    variant: Variant,
    body: (context: TraceContext) => void,
  ): Trace {
    return (tracer) => {
      const context = new TraceContext(tracer, declarations, state, variant);
      try {
        body(context);
      } finally {
        context.dispose();
      }
    };
  }

  private constructor(tracer: Tracer, declarations: Declarations, state: ModelState, variant: Variant) {
    this.run = declarations.run;
    this.tracer = tracer;
    this.declarations = declarations;
    this.state = state;
    this.variant = variant;
    this.fed = new Map<string, ScheduleHandle | InputHandle>([
      ...declarations.schedules,
      ...declarations.inputs,
    ]);
  }

  readonly value = (handle: ScheduleHandle | InputHandle): tf.Tensor => {
    const own = declared("schedule or input", this.fed, handle);
    if (!("shape" in own)) return this.input(own.name, [], "float32");
    const shape = own.shape.map((size) => size ?? this.variant.rows[own.name]!);
    return this.input(own.name, shape, own.dtype);
  };

  readonly masked = (handle: MaskHandle): MaskedPatches | undefined => {
    const byGroup = { name: (handle as MaskHandle | undefined)?.group };
    const { name, group, patches, started } = declared("mask", this.declarations.masks, byGroup);
    if (!this.phase(started)) return undefined;
    const images = this.declarations.viewGroup(group).count * this.run.batchSize;
    const drawn = () => this.value(this.declarations.inputs.get(name)!);
    const rows = this.remember(`mask/${name}/rows`, () => tf.maximum(drawn(), tf.scalar(0, "int32")));
    const used = this.remember(`mask/${name}/used`, () =>
      tf.cast(tf.greaterEqual(drawn(), tf.scalar(0, "int32")), "float32"),
    );
    const cells = this.remember(`mask/${name}/cells`, () =>
      tf.reshape(tf.unsortedSegmentSum(used, rows as tf.Tensor1D, images * patches), [images, patches]),
    );
    const stemCells = this.remember(`mask/${name}/stemCells`, () => this.overStem(cells, group));
    return { cells, stemCells, rows, used } as MaskedPatches;
  };

  /** A value of each patch, [images, N], for each of the patches that the backbone merges into it, [images, N0]. */
  private overStem(cells: tf.Tensor, group: string): tf.Tensor {
    const { backbone } = this.declarations;
    const { size } = this.declarations.viewGroup(group);
    const [grid, stem] = [backbone.grid(size), backbone.stemGrid(size)];
    const [down, across] = [stem.rows / grid.rows, stem.columns / grid.columns];
    if (down === 1 && across === 1) return cells;
    const images = cells.shape[0]!;
    const apart = tf.reshape(cells, [images, grid.rows, 1, grid.columns, 1]);
    return tf.reshape(tf.tile(apart, [1, 1, down, 1, across]), [images, stem.rows * stem.columns]);
  }

  readonly read = (variable: VariableHandle, network: Network = this.student): tf.Tensor => {
    const own = declared("variable", this.declarations.variables, variable);
    return this.tracer.read(this.state.get(own, network));
  };

  readonly apply = <In extends tf.Tensor, Out extends tf.Tensor>(
    head: HeadHandle<In, Out>,
    network: Network,
    input: In,
  ): Out => {
    const { name, module } = declared("head", this.declarations.heads, head);
    return module.forward(this.parameters(network, name), input, this.headState(name, network)) as Out;
  };

  readonly weight = (head: HeadHandle, network: Network): tf.Tensor2D => {
    const { name, module } = declared("head", this.declarations.heads, head);
    if (!module.weight) throw errors.headNotLinear(name);
    return module.weight(this.parameters(network, name), this.headState(name, network));
  };

  readonly phase = <T extends PhaseValue>(handle: PhaseHandle<T>): T =>
    this.variant.phases[declared("phase", this.declarations.phases, handle).name] as T;

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

  private headState(head: string, network: Network): HeadState {
    return {
      batch: this.batch,
      once: (key, compute) => this.remember(`head/${network.name}/${head}/${key}`, compute),
      update: (buffer, next) => {
        const own = declared("buffer", this.declarations.variables, { name: `${head}.${buffer}` });
        const variable = this.state.get(own, network);
        const current = this.headUpdates.get(variable) ?? this.tracer.read(variable);
        const updated = this.remember(`head/${variable.name}/${this.kept.size}`, () =>
          float32(() => next(current)),
        );
        this.headUpdates.set(variable, updated);
      },
    };
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
