/** What TensorFlow tells of a graph and of its kernels, as protocol buffers. */
import koffi from "koffi";
import protobuf from "protobufjs";
import type { LibraryFiles, Pointer } from "../../core/engine/c-api.ts";

const root = protobuf.parse(
  `
  syntax = "proto3";
  message ListValue { repeated int32 type = 6; }
  message AttrValue { ListValue list = 1; int32 type = 6; bool b = 5; }
  message NodeDef { string name = 1; string op = 2; repeated string input = 3; string device = 4; map<string, AttrValue> attr = 5; }
  message OpDef { string name = 1; }
  message FunctionDef { OpDef signature = 1; repeated NodeDef node_def = 3; }
  message FunctionDefLibrary { repeated FunctionDef function = 1; }
  message GraphDef { repeated NodeDef node = 1; FunctionDefLibrary library = 2; }
  message AttrConstraint { string name = 1; AttrValue allowed_values = 2; }
  message KernelDef {
    string op = 1;
    string device_type = 2;
    repeated AttrConstraint constraint = 3;
    repeated string host_memory_arg = 4;
    string label = 5;
  }
  message KernelList { repeated KernelDef kernel = 1; }
  `,
  { keepCase: true },
).root;

export interface NodeDef {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly device?: string;
  readonly attr?: Readonly<Record<string, { type?: number; b?: boolean; list?: { type?: number[] } }>>;
}

export interface GraphDef {
  readonly node: readonly NodeDef[];
  readonly library: {
    readonly function: readonly { signature: { name: string }; node_def: readonly NodeDef[] }[];
  };
}

export interface KernelDef {
  readonly op: string;
  readonly device_type: string;
  readonly constraint?: readonly { name: string; allowed_values?: { list?: { type?: number[] } } }[];
  readonly host_memory_arg?: string[];
  readonly label?: string;
}

function decode(type: string, bytes: Uint8Array): unknown {
  const own = root.lookupType(type);
  return own.toObject(own.decode(bytes));
}

export const decodeGraph = (bytes: Uint8Array): GraphDef => decode("GraphDef", bytes) as GraphDef;

export const decodeKernels = (bytes: Uint8Array): readonly KernelDef[] =>
  (decode("KernelList", bytes) as { kernel: KernelDef[] }).kernel;

/**
 * Calls a function of the C API that relata itself has no use for, of either library. Its last arguments are a
 * TF_Buffer to fill, unless it returns one, and a TF_Status. Gives the buffer's bytes.
 */
export function callForBuffer(library: LibraryFiles, signature: string, ...given: Pointer[]): Uint8Array {
  const libraries = [library.cc, library.framework].map((file) => koffi.load(file));
  const bind = (declared: string) => {
    const name = /(\w+)\(/.exec(declared)![1]!;
    const owner = libraries.find((candidate) => {
      try {
        return candidate.symbol(name, "void*") !== undefined;
      } catch {
        return false;
      }
    })!;
    return owner.func(declared);
  };
  const status = bind("void* TF_NewStatus()")() as Pointer;
  const returned = signature.startsWith("void*");
  const made = returned ? [] : [bind("void* TF_NewBuffer()")() as Pointer];
  const result = bind(signature)(...given, ...made, status) as Pointer;
  const view = new DataView(koffi.view(made[0] ?? result, 16));
  const bytes = koffi.view(view.getBigUint64(0, true), Number(view.getBigUint64(8, true))).slice(0);
  bind("void TF_DeleteBuffer(void*)")(made[0] ?? result);
  bind("void TF_DeleteStatus(void*)")(status);
  return new Uint8Array(bytes);
}
