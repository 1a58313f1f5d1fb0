/** A TF_Graph under construction: adds nodes and asks TensorFlow for their outputs' types and shapes. */
import {
  allocateTensor,
  AttrKind,
  checkStatus,
  shapeBytes,
  TensorFlowError,
  withStatus,
  type CApi,
  type HostArray,
  type NodeOutput,
  type Pointer,
} from "./c-api.ts";
import type { OpAttribute } from "./kernel-layer.ts";

export interface NodeSpec {
  readonly op: string;
  readonly name: string;
  /** A nested array is one variadic input. */
  readonly inputs?: readonly (NodeOutput | readonly NodeOutput[])[];
  readonly control?: readonly Pointer[];
  readonly attributes?: readonly OpAttribute[];
}

/** A name with nothing but what the name of a node or a function may have. */
export const inNodeName = (name: string): string => name.replace(/[^A-Za-z0-9_./-]/g, "_");

export class Graph {
  readonly api: CApi;
  readonly pointer: Pointer;
  /** Names of the functions defined so far. */
  readonly functions = new Set<string>();
  nodeCount = 0;

  constructor(api: CApi) {
    this.api = api;
    this.pointer = api.TF_NewGraph() as Pointer;
  }

  /** Adds a node; throws TensorFlow's own shape or type complaint. */
  add({ op, name, inputs = [], control = [], attributes = [] }: NodeSpec): Pointer {
    const { api } = this;
    const description = api.TF_NewOperation(this.pointer, op, name) as Pointer;
    for (const attribute of attributes) this.setAttribute(description, attribute);
    for (const input of inputs) {
      if (isList(input)) api.TF_AddInputList(description, input, input.length);
      else api.TF_AddInput(description, input);
    }
    for (const node of control) api.TF_AddControlInput(description, node);
    this.nodeCount++;
    return withStatus(api, (status) => api.TF_FinishOperation(description, status) as Pointer);
  }

  /** Adds a node as `add` does; gives its first output. */
  node(spec: NodeSpec): NodeOutput {
    return { oper: this.add(spec), index: 0 };
  }

  /** The output of a Const node. */
  constant(name: string, dtype: number, shape: readonly number[], values: HostArray): NodeOutput {
    const { api } = this;
    const tensor = allocateTensor(api, dtype, shape, values);
    const description = api.TF_NewOperation(this.pointer, "Const", name) as Pointer;
    withStatus(api, (status) => void api.TF_SetAttrTensor(description, "value", tensor, status));
    api.TF_DeleteTensor(tensor);
    api.TF_SetAttrType(description, "dtype", dtype);
    this.nodeCount++;
    const oper = withStatus(api, (status) => api.TF_FinishOperation(description, status) as Pointer);
    return { oper, index: 0 };
  }

  dtypeOf(output: NodeOutput): number {
    return this.api.TF_OperationOutputType(output) as number;
  }

  /** The static shape, -1 for an unknown dimension; undefined when even the rank is unknown. */
  shapeOf(output: NodeOutput): number[] | undefined {
    const { api, pointer } = this;
    return withStatus(api, (status) => {
      const rank = api.TF_GraphGetTensorNumDims(pointer, output, status) as number;
      if (rank < 0) return undefined;
      const dims = new BigInt64Array(Math.max(rank, 1));
      api.TF_GraphGetTensorShape(pointer, output, Buffer.from(dims.buffer), rank, status);
      return Array.from(dims.subarray(0, rank), Number);
    });
  }

  /** Makes `body` a function of this graph, which becomes an op of that name. */
  define(name: string, body: Graph, inputs: readonly NodeOutput[], outputs: readonly NodeOutput[]): void {
    const { api } = this;
    const all = -1;
    withStatus(api, (status) => {
      const definition = api.TF_GraphToFunction(
        body.pointer, name, 0, all, null, inputs.length, inputs, outputs.length, outputs, null, null, null, status,
      ) as Pointer; // prettier-ignore
      checkStatus(api, status);
      api.TF_GraphCopyFunction(this.pointer, definition, null, status);
      api.TF_DeleteFunction(definition);
    });
    this.functions.add(name);
  }

  delete(): void {
    this.api.TF_DeleteGraph(this.pointer);
  }

  private setAttribute(description: Pointer, { name, type, value }: OpAttribute): void {
    const { api } = this;
    const list = Array.isArray(value) ? (value as readonly number[]) : undefined;
    switch (type) {
      case AttrKind.STRING: {
        const bytes = Buffer.from(value as string);
        return void api.TF_SetAttrString(description, name, bytes, bytes.length);
      }
      case AttrKind.INT:
        if (list) return void api.TF_SetAttrIntList(description, name, shapeBytes(list), list.length);
        return void api.TF_SetAttrInt(description, name, value);
      case AttrKind.FLOAT:
        if (list) {
          const floats = Buffer.from(Float32Array.from(list).buffer);
          return void api.TF_SetAttrFloatList(description, name, floats, list.length);
        }
        return void api.TF_SetAttrFloat(description, name, value);
      case AttrKind.BOOL:
        return void api.TF_SetAttrBool(description, name, value ? 1 : 0);
      case AttrKind.TYPE:
        return void api.TF_SetAttrType(description, name, value);
      case AttrKind.SHAPE:
        return void api.TF_SetAttrShape(description, name, shapeBytes(list!), list!.length);
      case AttrKind.STRING_LIST: {
        const strings = value as readonly string[];
        const lengths = strings.map((s) => Buffer.byteLength(s));
        return void api.TF_SetAttrStringList(description, name, strings, lengths, strings.length);
      }
      default:
        throw new TensorFlowError(3, `attribute "${name}" has an unknown kind ${type}`);
    }
  }
}

function isList(input: NodeOutput | readonly NodeOutput[]): input is readonly NodeOutput[] {
  return Array.isArray(input);
}

/** Ops whose inputs are (partly) one variadic list: how many leading, listed and trailing inputs. */
const variadic: Record<string, (count: number) => [lead: number, listed: number]> = {
  ConcatV2: (n) => [0, n - 1],
  Concat: (n) => [1, n - 1],
  Pack: (n) => [0, n],
  AddN: (n) => [0, n],
  IdentityN: (n) => [0, n],
  Einsum: (n) => [0, n],
  Merge: (n) => [0, n],
  _FusedMatMul: (n) => [2, n - 2],
};

/** Groups flat inputs the way the op declares them. */
export function groupInputs(
  op: string,
  inputs: readonly NodeOutput[],
): (NodeOutput | readonly NodeOutput[])[] {
  const rule = variadic[op];
  if (!rule) return [...inputs];
  const [lead, listed] = rule(inputs.length);
  return [...inputs.slice(0, lead), inputs.slice(lead, lead + listed), ...inputs.slice(lead + listed)];
}
