/** TensorFlow's C API through koffi: signatures, status checks, host tensors. Nothing here knows tfjs. */
import koffi from "koffi";
import { errors } from "../errors.ts";

export type Pointer = bigint;
/** An output of a graph node (TF_Output by value). */
export interface NodeOutput {
  readonly oper: Pointer;
  readonly index: number;
}

/** TF_DataType. */
export const DataType = {
  FLOAT: 1,
  INT32: 3,
  UINT8: 4,
  STRING: 7,
  COMPLEX64: 8,
  INT64: 9,
  BOOL: 10,
  BFLOAT16: 14,
  RESOURCE: 20,
} as const;
/** The attribute kinds of tfjs's TFEOpAttr, and two of our own. */
export const AttrKind = {
  STRING: 0,
  INT: 1,
  FLOAT: 2,
  BOOL: 3,
  TYPE: 4,
  SHAPE: 5,
  STRING_LIST: 100,
} as const;

const bytesPerElement: Record<number, number> = {
  [DataType.FLOAT]: 4,
  [DataType.INT32]: 4,
  [DataType.UINT8]: 1,
  [DataType.INT64]: 8,
  [DataType.BOOL]: 1,
  [DataType.BFLOAT16]: 2,
};

const signatures = {
  TF_Version: "const char* TF_Version()",
  TF_NewStatus: "void* TF_NewStatus()",
  TF_DeleteStatus: "void TF_DeleteStatus(void*)",
  TF_SetStatus: "void TF_SetStatus(void*, int, const char*)",
  TF_GetCode: "int TF_GetCode(void*)",
  TF_Message: "const char* TF_Message(void*)",
  TF_NewBuffer: "void* TF_NewBuffer()",
  TF_NewBufferFromString: "void* TF_NewBufferFromString(void*, size_t)",
  TF_DeleteBuffer: "void TF_DeleteBuffer(void*)",
  TF_AllocateTensor: "void* TF_AllocateTensor(int, void*, int, size_t)",
  TF_DeleteTensor: "void TF_DeleteTensor(void*)",
  TF_TensorData: "void* TF_TensorData(void*)",
  TF_TensorByteSize: "size_t TF_TensorByteSize(void*)",
  TF_TensorType: "int TF_TensorType(void*)",
  TF_NewGraph: "void* TF_NewGraph()",
  TF_DeleteGraph: "void TF_DeleteGraph(void*)",
  TF_NewOperation: "void* TF_NewOperation(void*, const char*, const char*)",
  TF_AddInput: "void TF_AddInput(void*, TF_Output)",
  TF_AddInputList: "void TF_AddInputList(void*, TF_Output*, int)",
  TF_AddControlInput: "void TF_AddControlInput(void*, void*)",
  TF_FinishOperation: "void* TF_FinishOperation(void*, void*)",
  TF_SetAttrInt: "void TF_SetAttrInt(void*, const char*, int64_t)",
  TF_SetAttrIntList: "void TF_SetAttrIntList(void*, const char*, void*, int)",
  TF_SetAttrFloat: "void TF_SetAttrFloat(void*, const char*, float)",
  TF_SetAttrFloatList: "void TF_SetAttrFloatList(void*, const char*, void*, int)",
  TF_SetAttrBool: "void TF_SetAttrBool(void*, const char*, uchar)",
  TF_SetAttrType: "void TF_SetAttrType(void*, const char*, int)",
  TF_SetAttrShape: "void TF_SetAttrShape(void*, const char*, void*, int)",
  TF_SetAttrString: "void TF_SetAttrString(void*, const char*, void*, size_t)",
  TF_SetAttrStringList: "void TF_SetAttrStringList(void*, const char*, const char**, size_t*, int)",
  TF_SetAttrTensor: "void TF_SetAttrTensor(void*, const char*, void*, void*)",
  TF_GraphGetTensorNumDims: "int TF_GraphGetTensorNumDims(void*, TF_Output, void*)",
  TF_GraphGetTensorShape: "void TF_GraphGetTensorShape(void*, TF_Output, void*, int, void*)",
  TF_OperationOutputType: "int TF_OperationOutputType(TF_Output)",
  TF_GraphToFunction:
    "void* TF_GraphToFunction(void*, const char*, uchar, int, void*, int, TF_Output*, int, TF_Output*, void*, void*, const char*, void*)",
  TF_GraphCopyFunction: "void TF_GraphCopyFunction(void*, void*, void*, void*)",
  TF_DeleteFunction: "void TF_DeleteFunction(void*)",
  TF_NewSessionOptions: "void* TF_NewSessionOptions()",
  TF_DeleteSessionOptions: "void TF_DeleteSessionOptions(void*)",
  TF_SetConfig: "void TF_SetConfig(void*, void*, size_t, void*)",
  TF_NewSession: "void* TF_NewSession(void*, void*, void*)",
  TF_CloseSession: "void TF_CloseSession(void*, void*)",
  TF_DeleteSession: "void TF_DeleteSession(void*, void*)",
  TF_SessionRun:
    "void TF_SessionRun(void*, void*, void*, void*, int, void*, void*, int, void*, int, void*, void*)",
  TF_SessionListDevices: "void* TF_SessionListDevices(void*, void*)",
  TF_DeviceListCount: "int TF_DeviceListCount(void*)",
  TF_DeviceListName: "const char* TF_DeviceListName(void*, int, void*)",
  TF_DeviceListType: "const char* TF_DeviceListType(void*, int, void*)",
  TF_DeleteDeviceList: "void TF_DeleteDeviceList(void*)",
  TFE_NewContextOptions: "void* TFE_NewContextOptions()",
  TFE_ContextOptionsSetConfig: "void TFE_ContextOptionsSetConfig(void*, void*, size_t, void*)",
  TFE_DeleteContextOptions: "void TFE_DeleteContextOptions(void*)",
  TFE_NewContext: "void* TFE_NewContext(void*, void*)",
  TFE_NewOp: "void* TFE_NewOp(void*, const char*, void*)",
  TFE_DeleteOp: "void TFE_DeleteOp(void*)",
  TFE_OpAddInput: "void TFE_OpAddInput(void*, void*, void*)",
  TFE_OpSetAttrInt: "void TFE_OpSetAttrInt(void*, const char*, int64_t)",
  TFE_OpSetAttrIntList: "void TFE_OpSetAttrIntList(void*, const char*, void*, int)",
  TFE_OpSetAttrFloat: "void TFE_OpSetAttrFloat(void*, const char*, float)",
  TFE_OpSetAttrBool: "void TFE_OpSetAttrBool(void*, const char*, uchar)",
  TFE_OpSetAttrType: "void TFE_OpSetAttrType(void*, const char*, int)",
  TFE_OpSetAttrString: "void TFE_OpSetAttrString(void*, const char*, void*, size_t)",
  TFE_Execute: "void TFE_Execute(void*, void*, void*, void*)",
  TFE_NewTensorHandle: "void* TFE_NewTensorHandle(void*, void*)",
  TFE_DeleteTensorHandle: "void TFE_DeleteTensorHandle(void*)",
  TFE_TensorHandleResolve: "void* TFE_TensorHandleResolve(void*, void*)",
  TFE_TensorHandleNumDims: "int TFE_TensorHandleNumDims(void*, void*)",
  TFE_TensorHandleDim: "int64_t TFE_TensorHandleDim(void*, int, void*)",
  TFE_TensorHandleDataType: "int TFE_TensorHandleDataType(void*)",
} as const;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the C signature above is the type
type CFunction = ((...args: any[]) => any) & { async: (...args: any[]) => void };
export type CApi = { readonly [name in keyof typeof signatures]: CFunction };

/** Where the C API's two shared objects are. */
export interface LibraryFiles {
  readonly cc: string;
  readonly framework: string;
  readonly gpuLibraries: readonly string[];
}

let loaded: { cc: string; api: CApi } | undefined;

/** Loads libtensorflow once per process. Throws LIBRARY_NOT_LOADED and CUDA_LIBRARY. */
export function loadCApi(files: LibraryFiles): CApi {
  if (loaded) return loaded.api;
  loadCuda(files.gpuLibraries);
  try {
    // The symbols are spread over both: the C++ API's library is asked first.
    const libraries = [koffi.load(files.cc), koffi.load(files.framework)];
    koffi.struct("TF_Output", { oper: "void*", index: "int" });
    const bind = (signature: string): CFunction => {
      let failure: unknown;
      for (const library of libraries) {
        try {
          return library.func(signature) as unknown as CFunction;
        } catch (error) {
          failure = error;
        }
      }
      throw failure;
    };
    const api = Object.fromEntries(Object.entries(signatures).map(([name, s]) => [name, bind(s)])) as CApi;
    loaded = { cc: files.cc, api };
    // Left to end by itself, a process with the library loaded may crash in its last moment; an exit does not.
    process.once("beforeExit", (code) => process.exit(code));
    return api;
  } catch (error) {
    throw errors.libraryNotLoaded(files.cc, error).because(error);
  }
}

/** koffi unloads a library that nothing holds. */
const held: unknown[] = [];

/** Loads the libraries in their order. Throws CUDA_LIBRARY for the first that does not load. */
export function loadCuda(libraries: readonly string[]): void {
  for (const library of libraries) {
    try {
      held.push(koffi.load(library, { global: true }));
    } catch (error) {
      throw errors.cudaLibrary(library, error).because(error);
    }
  }
}

/** A failed call of the C API: TF_Code and TensorFlow's message. */
export class TensorFlowError extends Error {
  override readonly name = "TensorFlowError";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Calls `run` with a fresh TF_Status, throws what it reports, and always frees it. */
export function withStatus<T>(api: CApi, run: (status: Pointer) => T): T {
  const status = api.TF_NewStatus() as Pointer;
  try {
    const result = run(status);
    checkStatus(api, status);
    return result;
  } finally {
    api.TF_DeleteStatus(status);
  }
}

export function checkStatus(api: CApi, status: Pointer): void {
  const code = api.TF_GetCode(status) as number;
  if (code !== 0) throw new TensorFlowError(code, api.TF_Message(status) as string);
}

/** int64 dimensions as bytes, the way the C API takes shapes. */
export function shapeBytes(shape: readonly number[]): Buffer {
  return Buffer.from(BigInt64Array.from(shape, BigInt).buffer);
}

/** Values of a tensor on the host, row-major. */
export type HostArray = Float32Array | Int32Array | Uint8Array;

/** A TF_Tensor holding a copy of `values`. The caller frees it. */
export function allocateTensor(
  api: CApi,
  dtype: number,
  shape: readonly number[],
  values: HostArray,
): Pointer {
  const bytes = shape.reduce((a, b) => a * b, 1) * bytesPerElement[dtype]!;
  const tensor = api.TF_AllocateTensor(dtype, shapeBytes(shape), shape.length, bytes) as Pointer;
  if (bytes > 0) {
    const target = koffi.view(api.TF_TensorData(tensor) as Pointer, bytes);
    new Uint8Array(target).set(new Uint8Array(values.buffer, values.byteOffset, bytes));
  }
  return tensor;
}

/** Copies a TF_Tensor's values out. Does not free it. */
export function readTensor(api: CApi, tensor: Pointer): HostArray {
  const dtype = api.TF_TensorType(tensor) as number;
  const bytes = Number(api.TF_TensorByteSize(tensor));
  const copy =
    bytes > 0 ? koffi.view(api.TF_TensorData(tensor) as Pointer, bytes).slice(0) : new ArrayBuffer(0);
  if (dtype === DataType.FLOAT) return new Float32Array(copy);
  if (dtype === DataType.INT32) return new Int32Array(copy);
  return new Uint8Array(copy);
}
