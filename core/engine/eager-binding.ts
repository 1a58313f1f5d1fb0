/** The binding under tfjs's kernels that executes at once, through TensorFlow's eager C API. */
import { asHostArray, bindingConstants } from "./binding.ts";
import {
  allocateTensor,
  AttrKind,
  checkStatus,
  readTensor,
  shapeBytes,
  withStatus,
  type CApi,
  type Pointer,
} from "./c-api.ts";
import type { Binding, OpAttribute, TensorMetadata } from "./kernel-layer.ts";

export class EagerBinding implements Binding {
  private readonly api: CApi;
  private readonly context: Pointer;
  private readonly status: Pointer;
  private readonly handles = new Map<number, Pointer>();
  private outputs = Buffer.alloc(8);
  private readonly outputCount = Buffer.alloc(4);
  private nextId = 1;

  /** `config` is a serialised ConfigProto. */
  constructor(api: CApi, config: Buffer) {
    Object.assign(this, bindingConstants);
    this.api = api;
    const options = api.TFE_NewContextOptions() as Pointer;
    this.context = withStatus(api, (status) => {
      api.TFE_ContextOptionsSetConfig(options, config, config.length, status);
      checkStatus(api, status);
      return api.TFE_NewContext(options, status) as Pointer;
    });
    api.TFE_DeleteContextOptions(options);
    this.status = api.TF_NewStatus() as Pointer;
  }

  isUsingGpuDevice(): boolean {
    return false;
  }
  getNumOfTensors(): number {
    return this.handles.size;
  }
  getNumOfSavedModels(): number {
    return 0;
  }

  createTensor(shape: number[], dtype: number, values: ArrayLike<number>): number {
    const { api } = this;
    const tensor = allocateTensor(api, dtype, shape, asHostArray(dtype, values));
    const handle = api.TFE_NewTensorHandle(tensor, this.status) as Pointer;
    api.TF_DeleteTensor(tensor);
    this.check();
    return this.register(handle);
  }

  deleteTensor(id: number): void {
    const handle = this.handles.get(id);
    if (handle === undefined) return;
    this.api.TFE_DeleteTensorHandle(handle);
    this.handles.delete(id);
  }

  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array {
    const { api } = this;
    const tensor = api.TFE_TensorHandleResolve(this.handle(id), this.status) as Pointer;
    this.check();
    const values = readTensor(api, tensor);
    api.TF_DeleteTensor(tensor);
    return values;
  }

  executeOp(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly number[],
    outputCount: number,
  ): TensorMetadata[] {
    const { api, status } = this;
    const pointer = api.TFE_NewOp(this.context, op, status) as Pointer;
    this.check();
    try {
      for (const attribute of attributes) this.setAttribute(pointer, attribute);
      for (const id of inputs) api.TFE_OpAddInput(pointer, this.handle(id), status);
      this.check();
      this.outputCount.writeInt32LE(outputCount, 0);
      if (this.outputs.length < 8 * outputCount) this.outputs = Buffer.alloc(8 * outputCount);
      api.TFE_Execute(pointer, this.outputs, this.outputCount, status);
      this.check();
    } finally {
      api.TFE_DeleteOp(pointer);
    }
    return Array.from({ length: outputCount }, (_, i) => this.describe(this.outputs.readBigUInt64LE(8 * i)));
  }

  private describe(handle: Pointer): TensorMetadata {
    const { api, status } = this;
    const rank = api.TFE_TensorHandleNumDims(handle, status) as number;
    const shape = Array.from({ length: rank }, (_, i) => Number(api.TFE_TensorHandleDim(handle, i, status)));
    return { id: this.register(handle), shape, dtype: api.TFE_TensorHandleDataType(handle) as number };
  }

  private register(handle: Pointer): number {
    const id = this.nextId++;
    this.handles.set(id, handle);
    return id;
  }

  private handle(id: number): Pointer {
    const handle = this.handles.get(id);
    if (handle === undefined) throw new Error(`tensor ${id} was already disposed`);
    return handle;
  }

  private check(): void {
    try {
      checkStatus(this.api, this.status);
    } finally {
      this.api.TF_SetStatus(this.status, 0, "");
    }
  }

  private setAttribute(op: Pointer, { name, type, value }: OpAttribute): void {
    const { api } = this;
    switch (type) {
      case AttrKind.STRING: {
        const bytes = Buffer.from(value as string);
        return void api.TFE_OpSetAttrString(op, name, bytes, bytes.length);
      }
      case AttrKind.INT:
        if (!Array.isArray(value)) return void api.TFE_OpSetAttrInt(op, name, value);
        return void api.TFE_OpSetAttrIntList(op, name, shapeBytes(value as number[]), value.length);
      case AttrKind.FLOAT:
        return void api.TFE_OpSetAttrFloat(op, name, value);
      case AttrKind.BOOL:
        return void api.TFE_OpSetAttrBool(op, name, value ? 1 : 0);
      case AttrKind.TYPE:
        return void api.TFE_OpSetAttrType(op, name, value);
      default:
        throw new Error(`attribute "${name}" of an eager op has an unsupported kind ${type}`);
    }
  }
}
