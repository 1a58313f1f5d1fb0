/**
 * The binding under tfjs's kernels that traces: each op becomes a node of a TF_Graph and no value is computed.
 * Shapes come from TensorFlow's shape inference. One binding lives as long as one trace.
 */
import { createHash } from "node:crypto";
import { errors } from "../errors.ts";
import { isDeclaredConstant } from "../math/ambient.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import { autocast, isFloat, type Precision } from "./autocast.ts";
import { asHostArray, attr, bindingConstants } from "./binding.ts";
import { DataType, type HostArray, type NodeOutput } from "./c-api.ts";
import { AFTER } from "./kernels.ts";
import type { FloatNode } from "./finite-check.ts";
import { Frame, FunctionBody, mustCompile, outputKey, type Demand, type TracedTensor } from "./frame.ts";
import { Graph, groupInputs, inNodeName } from "./graph.ts";
import type { Binding, OpAttribute, TensorMetadata } from "./kernel-layer.ts";
import { differentiated } from "./tape-scopes.ts";
import type { TraceRecord } from "./trace-records.ts";

/** A JavaScript constant larger than this, and not uniform, has to be declared. */
const UNDECLARED_CONSTANT_BYTES = 1024;
/** Constants up to this size are shared by value. */
const CACHED_CONSTANT_BYTES = 256;

/** Ops whose value changes from run to run: TensorFlow's own randomness and queues. Variables are the engine's. */
const statefulOp = /Random|Multinomial|TruncatedNormal|Dropout|Shuffle|Queue|Iterator|PyFunc|Barrier|Stack/;
const statelessRandom = /^Stateless/;

export interface GraphBindingOptions {
  readonly precision: Precision;
  /** Fused pieces whose largest tensor has fewer elements stay as they are. */
  readonly fuseFrom: number;
  /** The demands of the same trace before this one. */
  readonly learned?: readonly (readonly Demand[])[];
  /** Where every floating-point result is noted, in the order they are made; of a trace without fused pieces. */
  readonly floats?: FloatNode[];
}

export class GraphBinding implements Binding {
  readonly records: TraceRecord[] = [];
  /** How the results of the fused functions are read, by function. */
  readonly demands: (readonly Demand[])[] = [];

  private readonly prefix: string;
  private readonly precision: Precision;
  private readonly fuseFrom: number;
  private readonly learned: readonly (readonly Demand[])[];
  private readonly floats: FloatNode[] | undefined;
  private readonly program: Frame;
  private frame: Frame;
  private readonly tensors = new Map<number, TracedTensor>();
  /** By output: the record it comes from, with its place among the results. */
  private readonly origins = new Map<string, string>();
  private places = 0;
  private nextId = 1;
  private nextNode = 0;

  constructor(graph: Graph, prefix: string, options: GraphBindingOptions) {
    const { precision, fuseFrom, learned = [], floats } = options;
    Object.assign(this, bindingConstants);
    this.program = this.frame = new Frame(graph);
    this.prefix = prefix;
    this.precision = precision;
    this.fuseFrom = fuseFrom;
    this.learned = learned;
    this.floats = floats;
  }

  isUsingGpuDevice(): boolean {
    return false;
  }
  getNumOfTensors(): number {
    return this.tensors.size;
  }
  getNumOfSavedModels(): number {
    return 0;
  }
  /** Nothing is freed while tracing: gradient functions hold ids beyond tfjs's tidy. */
  deleteTensor(): void {}

  tensorDataSync(): never {
    throw errors.valueReadWhileTracing(pluginOf(currentScope()), currentScope());
  }

  createTensor(shape: number[], dtype: number, given: ArrayLike<number>): number {
    if (dtype === DataType.STRING)
      throw errors.opMissing(pluginOf(currentScope()), currentScope(), "strings");
    const values = asHostArray(dtype, given);
    const small = values.byteLength <= CACHED_CONSTANT_BYTES;
    const key = small ? `${dtype}|${shape.join()}|${hex(values)}` : undefined;
    const cached = key === undefined ? undefined : this.frame.constants.get(key);
    if (cached) return this.register(cached);

    if (values.length > 16 && isUniform(values)) return this.fill(shape, dtype, values);
    if (values.byteLength > UNDECLARED_CONSTANT_BYTES && !isDeclaredConstant(given as HostArray)) {
      throw errors.undeclaredConstant(pluginOf(currentScope()), currentScope(), shape, values.byteLength);
    }
    const output = this.frame.graph.constant(this.nodeName("Const"), dtype, shape, values);
    const signature = key ?? `${dtype}|${shape.join()}|${digest(values)}`;
    this.frame.added("Const", signature, [], [output]);
    this.record("Const", signature, output);
    const constant = small ? values : undefined;
    const tensor: TracedTensor = { output, dtype, shape, frame: this.frame, constant };
    if (key !== undefined) this.frame.constants.set(key, tensor);
    return this.register(tensor);
  }

  executeOp(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly number[],
    outputCount: number,
  ): TensorMetadata[] {
    if (statefulOp.test(op) && !statelessRandom.test(op)) {
      throw errors.statefulOp(pluginOf(currentScope()), currentScope(), op);
    }
    const tensors = inputs.map((id) => this.tensor(id, op));
    // tfjs also casts what is float32 already, or bf16 that it takes for float32.
    if (op === "Cast" && isFloat(tensors[0]!.dtype) && isToFloat(attributes)) {
      return [this.metadata(this.register(this.wide(tensors[0]!)))];
    }
    if (op === AFTER) return [this.metadata(this.register(this.after(tensors[0]!, tensors[1]!)))];
    const { type, demand, ...cast } = autocast(op, attributes, tensors, this.precision);
    const typed = type === undefined ? tensors : tensors.map((tensor) => this.cast(tensor, type));
    const added = this.node(op, cast.attributes, typed, outputCount, demand);
    this.recordNode(op, attributes, outputsOf(tensors), outputsOf(added));
    return added.map((tensor) => this.metadata(this.register(tensor)));
  }

  /** Adds a node as given, without autocast, and registers its outputs. */
  addNode(
    op: string,
    attributes: readonly OpAttribute[],
    ids: readonly number[],
    outputCount: number,
  ): number[] {
    const inputs = ids.map((id) => this.tensor(id, op));
    const added = this.node(op, attributes, inputs, outputCount);
    this.recordNode(op, attributes, outputsOf(inputs), outputsOf(added));
    return added.map((tensor) => this.register(tensor));
  }

  /** Registers a node of the program made outside tfjs (a placeholder, a variable read) as a tensor. */
  adopt(output: NodeOutput, shape: readonly number[], source: string): number {
    const frame = this.program;
    this.record(source, shape.join(), output);
    return this.register({ output, dtype: frame.graph.dtypeOf(output), shape, frame });
  }

  /** Makes a node part of what the frozen check compares. Other outputs than traced ones need an origin. */
  recordNode(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly NodeOutput[],
    outputs: readonly NodeOutput[],
  ): void {
    const from = inputs.map((input) => this.origins.get(outputKey(input)));
    this.record(op, `${from.join()}|${describeAttributes(attributes)}`, ...outputs);
  }

  /** Names an output that no record makes, such as a variable's handle. */
  origin(output: NodeOutput, name: string): void {
    this.origins.set(outputKey(output), name);
  }

  /** The traced tensor behind an id, in float32 where it is bf16. */
  float32(id: number): TracedTensor {
    return this.wide(this.tensor(id, "Cast"));
  }

  metadata(id: number): TensorMetadata {
    const { shape, dtype } = this.tensor(id, "output");
    return { id, shape: [...shape], dtype: dtype === DataType.BFLOAT16 ? DataType.FLOAT : dtype };
  }

  /** A fresh node name in the program and the current scope. */
  nodeName(op: string): string {
    const scope = inNodeName(currentScope()).replace(/^[^A-Za-z0-9.]+/, "");
    return `${this.prefix}/${scope}/${op.replace(/^_/, "")}_${this.nextNode++}`;
  }

  /**
   * Traces `compute` into a function that XLA compiles, called as one node; as it is where that is not worth it.
   * Only what `results` picks of its value may be used afterwards. A result that the learned trace saw go into
   * matrix products alone comes in bf16.
   */
  fuse<R>(piece: string, compute: () => R, results: (value: R) => readonly number[]): R {
    const name = inNodeName(piece).replaceAll("/", "_");
    const [recorded, places] = [this.records.length, this.places];
    const body = new FunctionBody(new Graph(this.program.graph.api));
    this.frame = body;
    try {
      const value = compute();
      if (body.largest >= this.fuseFrom) {
        this.call(name, body, results(value));
        return value;
      }
    } finally {
      this.frame = this.program;
      body.graph.delete();
    }
    this.records.length = recorded;
    this.places = places;
    return this.inline(body, compute, results);
  }

  /** What was not returned is refused outside here too, so that the size of a run decides about no error. */
  private inline<R>(body: FunctionBody, compute: () => R, results: (value: R) => readonly number[]): R {
    const first = this.nextId;
    const value = compute();
    const returned = new Set(results(value));
    for (let id = first; id < this.nextId; id++) {
      if (!returned.has(id)) this.tensors.set(id, { ...this.tensors.get(id)!, frame: body });
    }
    return value;
  }

  private call(name: string, body: FunctionBody, ids: readonly number[]): void {
    const learned = this.learned[this.demands.length];
    const own = new Map<string, number[]>();
    for (const id of ids) {
      const { frame, output } = this.tensors.get(id)!;
      if (frame === body) own.set(outputKey(output), [...(own.get(outputKey(output)) ?? []), id]);
    }
    const results = [...own.values()].map((same, i) => {
      const tensor = this.tensors.get(same[0]!)!;
      const narrow = learned?.[i]?.narrow && !learned[i].wide;
      return { same, tensor, result: narrow ? this.cast(tensor, DataType.BFLOAT16) : tensor };
    });
    const outputs = results.map(({ result }) => result.output);
    const parameters = [...body.parameters.values()];
    const op = `${name}_${body.digest(outputs)}`;
    const { graph } = this.program;
    if (!graph.functions.has(op))
      graph.define(
        op,
        body.graph,
        parameters.map(({ inner }) => inner.output),
        outputs,
      );
    this.frame = this.program;
    const oper = graph.add({
      op,
      name: this.nodeName(name),
      inputs: parameters.map(({ outer }) => outer.output),
      attributes: [mustCompile],
    });
    const demands = results.map(({ same, tensor, result: { dtype, shape } }, index) => {
      const demand = { narrow: false, wide: false };
      const output = { oper, index };
      this.origins.set(outputKey(output), this.origins.get(outputKey(tensor.output))!);
      for (const id of same) this.tensors.set(id, { output, dtype, shape, frame: this.program, demand });
      return demand;
    });
    this.demands.push(demands);
  }

  /** The tensor in the current frame. */
  private tensor(id: number, op: string): TracedTensor {
    const tensor = this.tensors.get(id);
    if (!tensor) throw errors.foreignTensor(pluginOf(currentScope()), currentScope(), op);
    const { frame } = this;
    if (tensor.frame === frame) return tensor;
    if (tensor.frame !== this.program || !(frame instanceof FunctionBody)) {
      throw errors.fusedLeak(pluginOf(currentScope()), currentScope(), op);
    }
    return tensor.constant ? this.sameConstant(tensor) : this.parameter(frame, tensor);
  }

  private parameter(body: FunctionBody, outer: TracedTensor): TracedTensor {
    const key = outputKey(outer.output);
    const known = body.parameters.get(key);
    if (known) return known.inner;
    const { dtype, shape } = outer;
    const attributes = [attr.type("dtype", dtype), attr.shape("shape", shape)];
    const output = body.graph.node({ op: "Placeholder", name: this.nodeName("Placeholder"), attributes });
    body.added("Placeholder", describeAttributes(attributes), [], [output]);
    this.origins.set(outputKey(output), this.origins.get(key)!);
    body.largest = Math.max(body.largest, elements(shape));
    const inner: TracedTensor = { output, dtype, shape, frame: body, demand: outer.demand };
    body.parameters.set(key, { outer, inner });
    return inner;
  }

  private sameConstant({ dtype, shape, constant }: TracedTensor): TracedTensor {
    return this.tensors.get(this.createTensor([...shape], dtype, constant!))!;
  }

  private register(tensor: TracedTensor): number {
    const id = this.nextId++;
    this.tensors.set(id, tensor);
    return id;
  }

  private record(op: string, signature: string, ...outputs: readonly NodeOutput[]): void {
    const place = this.places++;
    for (const output of outputs) this.origins.set(outputKey(output), `${place}:${output.index}`);
    const dtype = outputs[0] && this.frame.graph.dtypeOf(outputs[0]);
    this.records.push({ scope: currentScope(), op, signature, dtype, place });
  }

  /** Adds a node to the frame without a record. */
  private node(
    op: string,
    attributes: readonly OpAttribute[],
    tensors: readonly TracedTensor[],
    outputCount: number,
    demand?: Demand,
  ): TracedTensor[] {
    const { frame } = this;
    const name = this.nodeName(op);
    const inputs = outputsOf(tensors);
    const oper = frame.graph.add({ op, name, inputs: groupInputs(op, inputs), attributes });
    const outputs = Array.from({ length: outputCount }, (_, index) => ({ oper, index }));
    frame.added(op, describeAttributes(attributes), inputs, outputs);
    return outputs.map((output) => {
      const dtype = frame.graph.dtypeOf(output);
      const shape = frame.graph.shapeOf(output);
      if (!shape || shape.some((size) => size < 0)) {
        throw errors.dynamicShape(pluginOf(currentScope()), currentScope(), op);
      }
      if (this.floats && isFloat(dtype)) {
        this.floats.push({ name, op, scope: currentScope(), gradientOf: differentiated(), output, dtype });
      }
      if (frame instanceof FunctionBody) frame.largest = Math.max(frame.largest, elements(shape));
      return { output, dtype, shape, frame, demand };
    });
  }

  /** The same values behind a control edge from `cause`. */
  private after(tensor: TracedTensor, cause: TracedTensor): TracedTensor {
    const { graph } = this.frame;
    const attributes = [attr.type("T", tensor.dtype)];
    const output = graph.node({
      op: "Identity",
      name: this.nodeName("After"),
      inputs: [tensor.output],
      control: [cause.output.oper],
      attributes,
    });
    this.frame.added(AFTER, "", outputsOf([tensor, cause]), [output]);
    this.recordNode(AFTER, [], outputsOf([tensor, cause]), [output]);
    return { ...tensor, output };
  }

  private fill(shape: readonly number[], dtype: number, values: HostArray): number {
    const dims = this.createTensor([shape.length], DataType.INT32, Int32Array.from(shape));
    const value = this.createTensor([], dtype, values.slice(0, 1));
    return this.addNode(
      "Fill",
      [attr.type("T", dtype), attr.type("index_type", DataType.INT32)],
      [dims, value],
      1,
    )[0]!;
  }

  /** In float32, because something reads it so. */
  private wide(tensor: TracedTensor): TracedTensor {
    if (tensor.demand) tensor.demand.wide = true;
    return this.cast(tensor, DataType.FLOAT);
  }

  /** Where casts are depends on what was learned, not only on the code that is traced. */
  private cast(tensor: TracedTensor, to: number): TracedTensor {
    const { dtype: from, output } = tensor;
    if (from === to || !isFloat(from)) return tensor;
    const key = `${outputKey(output)}|${to}`;
    let cast = this.frame.casts.get(key);
    if (cast === undefined) {
      cast = this.node("Cast", [attr.type("SrcT", from), attr.type("DstT", to)], [tensor], 1)[0]!;
      const origin = this.origins.get(outputKey(output))!;
      this.origins.set(outputKey(cast.output), origin);
      this.records.push({ scope: currentScope(), op: "Cast", signature: origin, dtype: to });
      this.frame.casts.set(key, cast);
    }
    return cast;
  }
}

const isToFloat = (attributes: readonly OpAttribute[]): boolean =>
  attributes.some(({ name, value }) => name === "DstT" && value === DataType.FLOAT);

const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const outputsOf = (tensors: readonly TracedTensor[]): NodeOutput[] => tensors.map(({ output }) => output);

const describeAttributes = (attributes: readonly OpAttribute[]): string =>
  attributes.map(({ name, value }) => `${name}=${String(value)}`).join();

function isUniform(values: HostArray): boolean {
  for (let i = 1; i < values.length; i++) if (!Object.is(values[i], values[0])) return false;
  return true;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: HostArray): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

const hex = (values: HostArray): string => bytesOf(values).toString("hex");

const digest = (values: HostArray): string => createHash("sha1").update(bytesOf(values)).digest("base64");
