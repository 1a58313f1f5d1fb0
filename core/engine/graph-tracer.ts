/** What a program's body talks to while the graph engine captures it: inputs, variables, writes, gates. */
import { keep, type Scalar, type Tensor } from "@tensorflow/tfjs-core";
import { errors } from "../errors.ts";
import { attr } from "./binding.ts";
import { DataType, type NodeOutput, type Pointer } from "./c-api.ts";
import type { AdamUpdate, InputType, Tracer, Variable } from "./engine.ts";
import { adamUpdate, blendUpdate, type FusedUpdate } from "./fused-updates.ts";
import { mustCompile, type TracedTensor } from "./frame.ts";
import type { GraphBinding } from "./graph-binding.ts";
import type { GraphVariable } from "./graph-variables.ts";
import type { Graph } from "./graph.ts";
import type { NodeBackend } from "./kernel-layer.ts";
import type { FeedSlot } from "./session.ts";

const inputTypes = { float32: DataType.FLOAT, int32: DataType.INT32, uint8: DataType.UINT8 } as const;
const float = attr.type("dtype", DataType.FLOAT);
const T = attr.type("T", DataType.FLOAT);

interface TracedVariable {
  readonly nodes: GraphVariable;
  readonly tensor: Tensor;
  readonly read: NodeOutput;
  /** What has to have happened for the variable to hold its new value. */
  written?: Pointer;
  /** Reads of that value, which the next write waits for. */
  readers: Pointer[];
}

export class GraphTracer implements Tracer {
  private readonly graph: Graph;
  private readonly binding: GraphBinding;
  private readonly backend: NodeBackend;
  private readonly resolve: (variable: Variable) => GraphVariable;
  private readonly writes: boolean;
  private readonly fuseFrom: number;
  private readonly variables = new Map<string, TracedVariable>();
  private readonly inputs: (FeedSlot & { name: string; type: InputType })[] = [];
  private readonly outputs: { name: string; output: NodeOutput }[] = [];
  /** The variables written inside the gates that are open, innermost last. */
  private readonly gates: Set<TracedVariable>[] = [];
  /** Control edges of the innermost gate. */
  private pivot: readonly Pointer[] = [];

  /**
   * Without `writes` the gated part of the body is left out: the check program only looks. Updates of variables of
   * at least `fuseFrom` elements are compiled by XLA.
   */
  constructor(
    graph: Graph,
    binding: GraphBinding,
    backend: NodeBackend,
    resolve: (variable: Variable) => GraphVariable,
    { writes, fuseFrom }: { writes: boolean; fuseFrom: number },
  ) {
    this.graph = graph;
    this.binding = binding;
    this.backend = backend;
    this.resolve = resolve;
    this.writes = writes;
    this.fuseFrom = fuseFrom;
  }

  input(name: string, shape: readonly number[], type: InputType): Tensor {
    const dtype = inputTypes[type];
    const attributes = [attr.type("dtype", dtype), attr.shape("shape", shape)];
    const placeholder = this.node("Placeholder", [], attributes);
    this.inputs.push({ name, output: placeholder, dtype, shape, type });
    let id = this.binding.adopt(placeholder, shape, `input ${name}`);
    if (type === "uint8") {
      const cast = [attr.type("SrcT", DataType.UINT8), attr.type("DstT", DataType.FLOAT)];
      id = this.binding.addNode("Cast", cast, [id], 1)[0]!;
    }
    return this.backend.createOutputTensor(this.binding.metadata(id));
  }

  read(variable: Variable): Tensor {
    return this.traced(variable).tensor;
  }

  updated(variable: Variable): Tensor {
    const traced = this.traced(variable);
    if (traced.written === undefined) return traced.tensor;
    return this.adopt(this.current(traced), variable, "updated");
  }

  output(name: string, value: Tensor): void {
    const { output, dtype } = this.traceOf(value);
    // TensorFlow fetches nothing that it is fed.
    const fed = this.inputs.some((input) => input.output.oper === output.oper);
    this.binding.recordNode(`output ${name}`, [], [output], []);
    this.outputs.push({
      name,
      output: fed ? this.node("Identity", [output], [attr.type("T", dtype)]) : output,
    });
  }

  assign(variable: Variable, value: Tensor): void {
    if (value.shape.join() !== variable.shape.join()) {
      throw errors.assignShape(variable.name, variable.shape, value.shape);
    }
    const traced = this.traced(variable);
    if (!this.writes) return;
    const node = this.node(
      "AssignVariableOp",
      [traced.nodes.handle, this.value(value)],
      [float],
      this.before(traced),
    );
    this.markWritten(traced, node.oper);
  }

  blend(variable: Variable, value: Tensor, rate: Scalar): void {
    const traced = this.traced(variable);
    if (!this.writes) return;
    const { handle } = traced.nodes;
    const control = this.before(traced);
    if (this.fuses(variable)) {
      const inputs = [handle, this.value(value), this.value(rate)] as const;
      this.markWritten(traced, this.update(blendUpdate(variable.shape), inputs, control));
      return;
    }
    const distance = this.node("Sub", [this.current(traced), this.value(value)], [T]);
    const attributes = [T, attr.bool("use_locking", false)];
    const inputs = [handle, this.value(rate), distance];
    const node = this.node("ResourceApplyGradientDescent", inputs, attributes, control);
    this.markWritten(traced, node.oper);
  }

  adam(update: AdamUpdate): void {
    const { variable, m, v, lr, weightDecay, step, scale, beta1, beta2, epsilon } = update;
    const traced = [this.traced(variable), this.traced(m), this.traced(v)] as const;
    if (!this.writes) return;
    const constant = (value: number): NodeOutput => {
      const id = this.binding.createTensor([], DataType.FLOAT, Float32Array.of(value));
      return this.binding.float32(id).output;
    };
    const binary = (op: string, a: NodeOutput, b: NodeOutput): NodeOutput => this.node(op, [a, b], [T]);
    const sqrt = (x: NodeOutput): NodeOutput => this.node("Sqrt", [x], [T]);

    const rate = this.value(lr);
    const gradient = this.value(update.gradient);
    const decay = weightDecay ? binary("Mul", rate, this.value(weightDecay)) : undefined;
    const power1 = binary("Pow", constant(beta1), this.value(step));
    const power2 = binary("Pow", constant(beta2), this.value(step));
    // TensorFlow adds epsilon to the uncorrected sqrt(v); the paper (and PyTorch) to the corrected one.
    const correction = sqrt(binary("Sub", constant(1), power2));
    const uncorrected = binary("Mul", constant(epsilon), correction);
    const [handle, ...moments] = traced.map(({ nodes }) => nodes.handle);
    const handles = [handle!, ...moments];
    const control = traced.flatMap((one) => this.before(one));

    let adam: Pointer;
    if (this.fuses(variable)) {
      const corrected = binary(
        "RealDiv",
        binary("Mul", rate, correction),
        binary("Sub", constant(1), power1),
      );
      const numbers = [scale ? this.value(scale) : constant(1), decay ?? constant(0), corrected, uncorrected];
      adam = this.update(
        adamUpdate(variable.shape, beta1, beta2),
        [...handles, gradient, ...numbers],
        control,
      );
    } else {
      const unlocked = attr.bool("use_locking", false);
      let after: readonly Pointer[] = control;
      if (decay) {
        // p -= lr * weightDecay * p, in place
        const inputs = [handle!, decay, this.current(traced[0])];
        after = [...control, this.node("ResourceApplyGradientDescent", inputs, [T, unlocked], control).oper];
      }
      const scaled = scale ? binary("Mul", gradient, this.value(scale)) : gradient;
      const numbers = [power1, power2, rate, constant(beta1), constant(beta2), uncorrected];
      const attributes = [T, unlocked, attr.bool("use_nesterov", false)];
      adam = this.node("ResourceApplyAdam", [...handles, ...numbers, scaled], attributes, after).oper;
    }
    for (const one of traced) this.markWritten(one, adam);
  }

  when(condition: Tensor, body: () => void): void {
    if (!this.writes) return;
    const bool = attr.type("T", DataType.BOOL);
    const holds = this.value(condition);
    const open = this.node("Switch", [holds, holds], [bool], this.pivot).oper;
    const branch = (index: number, control: readonly Pointer[] = []): NodeOutput =>
      this.node("Identity", [{ oper: open, index }], [bool], control);
    const outer = this.pivot;
    const written = new Set<TracedVariable>();
    this.pivot = [branch(1).oper];
    this.gates.push(written);
    try {
      body();
    } finally {
      this.gates.pop();
      this.pivot = outer;
    }
    // Past the gate a variable is settled when its write has happened or the gate was closed.
    const closed = branch(0);
    for (const variable of written) {
      const merge = [bool, attr.int("N", 2)];
      const done = branch(1, [variable.written!, ...variable.readers]);
      const settled = this.node("Merge", [done, closed], merge);
      this.markWritten(variable, settled.oper);
    }
  }

  /** The captured feeds, fetches and targets. */
  finish(): {
    inputs: readonly (FeedSlot & { name: string; type: InputType })[];
    outputs: readonly { name: string; output: NodeOutput }[];
    targets: readonly Pointer[];
    variables: readonly Variable[];
  } {
    const writes = [...this.variables.values()].flatMap((v) => (v.written === undefined ? [] : [v.written]));
    const targets = writes.length > 0 ? [this.node("NoOp", [], [], writes).oper] : [];
    const variables = [...this.variables.values()].map(({ nodes }) => nodes);
    return { inputs: this.inputs, outputs: this.outputs, targets, variables };
  }

  /** Frees what tfjs keeps of the variables. */
  dispose(): void {
    for (const { tensor } of this.variables.values()) tensor.dispose();
  }

  private traced(variable: Variable): TracedVariable {
    let traced = this.variables.get(variable.name);
    if (!traced) {
      const nodes = this.resolve(variable);
      this.binding.origin(nodes.handle, variable.name);
      const read = this.node("ReadVariableOp", [nodes.handle], [float]);
      traced = { nodes, read, tensor: keep(this.adopt(read, variable, "read")), readers: [] };
      this.variables.set(variable.name, traced);
    }
    return traced;
  }

  private adopt(read: NodeOutput, variable: Variable, how: string): Tensor {
    const id = this.binding.adopt(read, variable.shape, `${how} ${variable.name}`);
    return this.backend.createOutputTensor(this.binding.metadata(id));
  }

  /** A write waits for its gate, for the write before it, and for the reads of what that wrote. */
  private before({ read, written, readers }: TracedVariable): readonly Pointer[] {
    return [...this.pivot, read.oper, ...(written === undefined ? [] : [written, ...readers])];
  }

  private markWritten(traced: TracedVariable, node: Pointer): void {
    traced.written = node;
    traced.readers = [];
    this.gates.at(-1)?.add(traced);
  }

  /** The variable after its writes so far. */
  private current(traced: TracedVariable): NodeOutput {
    const { nodes, read, written } = traced;
    if (written === undefined) return read;
    const reader = this.node("ReadVariableOp", [nodes.handle], [float], [written]);
    traced.readers.push(reader.oper);
    return reader;
  }

  private value(tensor: Tensor): NodeOutput {
    return this.traceOf(tensor).output;
  }

  private traceOf(tensor: Tensor): TracedTensor {
    const [id] = this.backend.getInputTensorIds([tensor]);
    return this.binding.float32(id!);
  }

  /** Whether updates of a variable are compiled: one pass over memory, in place where nobody else holds the old value. */
  private fuses(variable: Variable): boolean {
    return variable.size >= this.fuseFrom;
  }

  private update({ name, define }: FusedUpdate, inputs: readonly NodeOutput[], control: readonly Pointer[]) {
    if (!this.graph.functions.has(name)) define(this.graph, name);
    return this.node(name, inputs, [mustCompile], control).oper;
  }

  private node(
    op: string,
    inputs: readonly NodeOutput[],
    attributes: Parameters<GraphBinding["addNode"]>[1],
    control: readonly Pointer[] = [],
  ): NodeOutput {
    const grouped = op === "Merge" ? [inputs] : inputs;
    const name = this.binding.nodeName(op);
    const node = this.graph.node({ op, name, inputs: grouped, control, attributes });
    this.binding.recordNode(op, attributes, inputs, [node]);
    return node;
  }
}
