/**
 * The binding under tfjs's kernels that traces: each op becomes a node of a TF_Graph and no value is computed.
 * Shapes come from TensorFlow's shape inference. One binding lives as long as one trace.
 */
import { createHash } from "node:crypto";
import { errors } from "../errors.ts";
import { isDeclaredConstant, isFloat32Island } from "../math/ambient.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import { computeType, type Precision } from "./autocast.ts";
import { asHostArray, attr, bindingConstants } from "./binding.ts";
import { DataType, type HostArray, type NodeOutput } from "./c-api.ts";
import { groupInputs, type Graph } from "./graph.ts";
import type { Binding, OpAttribute, TensorMetadata } from "./kernel-layer.ts";
import { differentiated } from "./tape-scopes.ts";

/** A JavaScript constant larger than this, and not uniform, has to be declared. */
const UNDECLARED_CONSTANT_BYTES = 1024;
/** Constants up to this size are shared by value. */
const CACHED_CONSTANT_BYTES = 256;

/** Ops whose value changes from run to run: TensorFlow's own randomness and queues. Variables are the engine's. */
const statefulOp = /Random|Multinomial|TruncatedNormal|Dropout|Shuffle|Queue|Iterator|PyFunc|Barrier|Stack/;
const statelessRandom = /^Stateless/;

export interface TracedTensor {
  readonly output: NodeOutput;
  readonly dtype: number;
  readonly shape: readonly number[];
  /** Values of a small constant, for rewrites that need them. */
  readonly constant?: HostArray;
}

/** One traced node, as the frozen check compares it. */
export interface TraceRecord {
  readonly scope: string;
  readonly op: string;
  /** Everything that must not change between traces: attributes, inputs, constant values. */
  readonly signature: string;
}

export interface FloatNode {
  readonly name: string;
  readonly op: string;
  readonly scope: string;
  readonly gradientOf: string | undefined;
  readonly output: NodeOutput;
  readonly dtype: number;
}

export class GraphBinding implements Binding {
  readonly graph: Graph;
  readonly records: TraceRecord[] = [];
  /** Every floating-point result in the order it was made; kept for the check program. */
  readonly floats: FloatNode[] = [];

  private readonly prefix: string;
  private readonly precision: Precision;
  private readonly tensors = new Map<number, TracedTensor>();
  /** By output: the record it comes from. */
  private readonly origins = new Map<string, number | string>();
  private readonly constants = new Map<string, TracedTensor>();
  private readonly casts = new Map<string, number>();
  private readonly ones = new Map<string, number>();
  private nextId = 1;
  private nextNode = 0;

  constructor(graph: Graph, prefix: string, precision: Precision) {
    Object.assign(this, bindingConstants);
    this.graph = graph;
    this.prefix = prefix;
    this.precision = precision;
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
    const cached = key === undefined ? undefined : this.constants.get(key);
    if (cached) return this.register(cached);

    if (values.length > 16 && isUniform(values)) return this.fill(shape, dtype, values);
    if (values.byteLength > UNDECLARED_CONSTANT_BYTES && !isDeclaredConstant(given as HostArray)) {
      throw errors.undeclaredConstant(pluginOf(currentScope()), currentScope(), shape, values.byteLength);
    }
    const name = this.nodeName("Const");
    const node = this.graph.constant(name, dtype, shape, values);
    const output = { oper: node, index: 0 };
    this.record("Const", key ?? `${dtype}|${shape.join()}|${digest(values)}`, output);
    const tensor: TracedTensor = { output, dtype, shape, constant: small ? values : undefined };
    if (key !== undefined) this.constants.set(key, tensor);
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
    // tfjs also casts what is float32 already, or bf16 that it takes for float32.
    if (op === "Cast" && isFloat(this.tensor(inputs[0]!, op).dtype) && isToFloat(attributes)) {
      return [this.metadata(this.cast(inputs[0]!, DataType.FLOAT))];
    }
    const columnSum = this.columnSum(op, inputs);
    if (columnSum !== undefined) return [this.metadata(columnSum)];
    const [ids, typed] = this.autocast(op, attributes, inputs);
    return this.addNode(op, typed, ids, outputCount).map((id) => this.metadata(id));
  }

  /** Adds a node as given, without autocast, and registers its outputs. */
  addNode(
    op: string,
    attributes: readonly OpAttribute[],
    ids: readonly number[],
    outputCount: number,
  ): number[] {
    const tensors = ids.map((id) => this.tensor(id, op));
    const name = this.nodeName(op);
    const inputs = tensors.map((t) => t.output);
    const node = this.graph.add({ op, name, inputs: groupInputs(op, inputs), attributes });
    const outputs = Array.from({ length: outputCount }, (_, index) => ({ oper: node, index }));
    this.recordNode(op, attributes, inputs, outputs);
    return outputs.map((output) => {
      const dtype = this.graph.dtypeOf(output);
      const shape = this.graph.shapeOf(output);
      if (!shape || shape.some((size) => size < 0)) {
        throw errors.dynamicShape(pluginOf(currentScope()), currentScope(), op);
      }
      if (isFloat(dtype)) {
        this.floats.push({ name, op, scope: currentScope(), gradientOf: differentiated(), output, dtype });
      }
      return this.register({ output, dtype, shape });
    });
  }

  /** Registers a node made outside tfjs (a placeholder, a variable read) as a tensor. */
  adopt(output: NodeOutput, shape: readonly number[], source: string): number {
    this.record(source, shape.join(), output);
    return this.register({ output, dtype: this.graph.dtypeOf(output), shape });
  }

  /** Makes a node part of what the frozen check compares. Other outputs than traced ones need an origin. */
  recordNode(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly NodeOutput[],
    outputs: readonly NodeOutput[],
  ): void {
    const from = inputs.map((input) => `${this.origins.get(outputKey(input))}:${input.index}`);
    const described = attributes.map((a) => `${a.name}=${String(a.value)}`);
    this.record(op, `${from.join()}|${described.join()}`, ...outputs);
  }

  /** Names an output that no record makes, such as a variable's handle. */
  origin(output: NodeOutput, name: string): void {
    this.origins.set(outputKey(output), name);
  }

  /** The traced tensor behind an id, in float32 where it is bf16. */
  float32(id: number): TracedTensor {
    return this.tensor(this.cast(id, DataType.FLOAT), "Cast");
  }

  metadata(id: number): TensorMetadata {
    const { shape, dtype } = this.tensor(id, "output");
    return { id, shape: [...shape], dtype: dtype === DataType.BFLOAT16 ? DataType.FLOAT : dtype };
  }

  /** A fresh node name in the program and the current scope. */
  nodeName(op: string): string {
    const scope = currentScope()
      .replace(/[^A-Za-z0-9_./-]/g, "_")
      .replace(/^[^A-Za-z0-9.]+/, "");
    return `${this.prefix}/${scope}/${op.replace(/^_/, "")}_${this.nextNode++}`;
  }

  private tensor(id: number, op: string): TracedTensor {
    const tensor = this.tensors.get(id);
    if (!tensor) throw errors.foreignTensor(pluginOf(currentScope()), currentScope(), op);
    return tensor;
  }

  private register(tensor: TracedTensor): number {
    const id = this.nextId++;
    this.tensors.set(id, tensor);
    return id;
  }

  private record(op: string, signature: string, ...outputs: readonly NodeOutput[]): void {
    for (const output of outputs) this.origins.set(outputKey(output), this.records.length);
    this.records.push({ scope: currentScope(), op, signature });
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

  private cast(id: number, to: number): number {
    const { dtype: from, output } = this.tensor(id, "Cast");
    if (from === to || !isFloat(from)) return id;
    const key = `${outputKey(output)}|${to}`;
    let cast = this.casts.get(key);
    if (cast === undefined) {
      cast = this.addNode("Cast", [attr.type("SrcT", from), attr.type("DstT", to)], [id], 1)[0]!;
      this.casts.set(key, cast);
    }
    return cast;
  }

  private autocast(
    op: string,
    attributes: readonly OpAttribute[],
    ids: readonly number[],
  ): [readonly number[], readonly OpAttribute[]] {
    const inputs = ids.map((id) => this.tensor(id, op));
    if (op === "Cast") {
      const source = inputs[0]!.dtype;
      return [ids, attributes.map((a) => (a.name === "SrcT" ? { ...a, value: source } : a))];
    }
    const type = computeType(
      op,
      inputs.map((t) => ({ dtype: t.dtype, isScalarConstant: t.constant?.length === 1 })),
      this.precision,
    );
    if (type === undefined) return [ids, attributes];
    const retyped = attributes.map((a) =>
      (a.name === "T" || a.name === "Tparams") && a.value === DataType.FLOAT ? { ...a, value: type } : a,
    );
    return [ids.map((id) => this.cast(id, type)), retyped];
  }

  /** Sums the rows of a bf16 matrix (a bias gradient) as a product with ones: float32 inside, several times faster. */
  private columnSum(op: string, ids: readonly number[]): number | undefined {
    if (op !== "Sum" || isFloat32Island()) return undefined;
    const [x, axes] = ids.map((id) => this.tensor(id, op));
    if (x!.dtype !== DataType.BFLOAT16 || x!.shape.length !== 2) return undefined;
    if (axes!.constant?.length !== 1 || axes!.constant[0] !== 0) return undefined;
    const [rows, columns] = x!.shape as [number, number];
    const key = String(rows);
    let ones = this.ones.get(key);
    if (ones === undefined) {
      ones = this.cast(this.fill([1, rows], DataType.FLOAT, Float32Array.of(1)), DataType.BFLOAT16);
      this.ones.set(key, ones);
    }
    const attributes = [
      attr.type("T", DataType.BFLOAT16),
      attr.bool("transpose_a", false),
      attr.bool("transpose_b", false),
    ];
    const sums = this.addNode("MatMul", attributes, [ones, ids[0]!], 1)[0]!;
    const shape = this.createTensor([1], DataType.INT32, Int32Array.of(columns));
    const reshape = [attr.type("T", DataType.FLOAT), attr.type("Tshape", DataType.INT32)];
    return this.addNode("Reshape", reshape, [this.cast(sums, DataType.FLOAT), shape], 1)[0]!;
  }
}

const isFloat = (dtype: number): boolean => dtype === DataType.FLOAT || dtype === DataType.BFLOAT16;

const isToFloat = (attributes: readonly OpAttribute[]): boolean =>
  attributes.some(({ name, value }) => name === "DstT" && value === DataType.FLOAT);

function outputKey(output: NodeOutput): string {
  return `${output.oper}:${output.index}`;
}

function isUniform(values: HostArray): boolean {
  for (let i = 1; i < values.length; i++) if (!Object.is(values[i], values[0])) return false;
  return true;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: HostArray): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

const hex = (values: HostArray): string => bytesOf(values).toString("hex");

const digest = (values: HostArray): string => createHash("sha1").update(bytesOf(values)).digest("base64");
