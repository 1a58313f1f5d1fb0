/** Runs a graph: feeds, fetches and targets prepared once, values copied in and out on each run. */
import koffi from "koffi";
import {
  allocateTensor,
  checkStatus,
  readTensor,
  withStatus,
  type CApi,
  type HostArray,
  type NodeOutput,
  type Pointer,
} from "./c-api.ts";
import type { Graph } from "./graph.ts";
import { decodeTimings, fullTrace, type NodeTiming } from "./protos.ts";

export interface FeedSlot {
  readonly output: NodeOutput;
  readonly dtype: number;
  readonly shape: readonly number[];
}

export interface Device {
  readonly name: string;
  readonly type: string;
}

/** A set of feeds, fetches and targets of one session, encoded once. */
export class PreparedRun {
  private readonly api: CApi;
  private readonly session: Pointer;
  private readonly feeds: readonly FeedSlot[];
  private readonly fetchCount: number;
  private readonly targetCount: number;
  private readonly feedBytes: Buffer;
  private readonly fetchBytes: Buffer;
  private readonly targetBytes: Buffer;

  constructor(
    api: CApi,
    session: Pointer,
    feeds: readonly FeedSlot[],
    fetches: readonly NodeOutput[],
    targets: readonly Pointer[],
  ) {
    this.api = api;
    this.session = session;
    this.feeds = feeds;
    this.fetchCount = fetches.length;
    this.targetCount = targets.length;
    this.feedBytes = outputBytes(feeds.map((f) => f.output));
    this.fetchBytes = outputBytes(fetches);
    this.targetBytes = pointerBytes(targets);
  }

  /** Runs off the event loop. `values` in the order of the feeds; gives the fetches in their order. */
  async run(values: readonly HostArray[]): Promise<HostArray[]> {
    const call = this.begin(values);
    await new Promise<void>((resolve, reject) => {
      const done = (error: unknown) => (error ? reject(error as Error) : resolve());
      this.api.TF_SessionRun.async(...this.arguments(call, null, null), done);
    }).catch((error: unknown) => {
      this.release(call);
      throw error;
    });
    return this.finish(call);
  }

  /** Runs on this thread with every node timed. */
  profile(values: readonly HostArray[]): { outputs: HostArray[]; timings: NodeTiming[] } {
    const { api } = this;
    const call = this.begin(values);
    const options = api.TF_NewBufferFromString(fullTrace, fullTrace.length) as Pointer;
    const metadata = api.TF_NewBuffer() as Pointer;
    api.TF_SessionRun(...this.arguments(call, options, metadata));
    const outputs = this.finish(call);
    const { data, length } = readBuffer(metadata);
    const timings = decodeTimings(length > 0 ? new Uint8Array(koffi.view(data, length)) : new Uint8Array());
    api.TF_DeleteBuffer(options);
    api.TF_DeleteBuffer(metadata);
    return { outputs, timings };
  }

  private begin(values: readonly HostArray[]): Call {
    const tensors = this.feeds.map((feed, i) => allocateTensor(this.api, feed.dtype, feed.shape, values[i]!));
    return {
      tensors,
      inputs: pointerBytes(tensors),
      outputs: Buffer.alloc(8 * this.fetchCount),
      status: this.api.TF_NewStatus() as Pointer,
    };
  }

  private arguments(call: Call, options: Pointer | null, metadata: Pointer | null): unknown[] {
    return [
      this.session,
      options,
      this.feedBytes,
      call.inputs,
      this.feeds.length,
      this.fetchBytes,
      call.outputs,
      this.fetchCount,
      this.targetBytes,
      this.targetCount,
      metadata,
      call.status,
    ];
  }

  private finish(call: Call): HostArray[] {
    try {
      checkStatus(this.api, call.status);
      return Array.from({ length: this.fetchCount }, (_, i) => {
        const tensor = call.outputs.readBigUInt64LE(8 * i);
        const values = readTensor(this.api, tensor);
        this.api.TF_DeleteTensor(tensor);
        return values;
      });
    } finally {
      this.release(call);
    }
  }

  private release(call: Call): void {
    for (const tensor of call.tensors) this.api.TF_DeleteTensor(tensor);
    this.api.TF_DeleteStatus(call.status);
  }
}

interface Call {
  readonly tensors: readonly Pointer[];
  readonly inputs: Buffer;
  readonly outputs: Buffer;
  readonly status: Pointer;
}

export class Session {
  private readonly api: CApi;
  private readonly pointer: Pointer;

  /** `config` is a serialised ConfigProto. */
  constructor(graph: Graph, config: Buffer) {
    const { api } = graph;
    this.api = api;
    const options = api.TF_NewSessionOptions() as Pointer;
    this.pointer = withStatus(api, (status) => {
      api.TF_SetConfig(options, config, config.length, status);
      checkStatus(api, status);
      return api.TF_NewSession(graph.pointer, options, status) as Pointer;
    });
    api.TF_DeleteSessionOptions(options);
  }

  prepare(
    feeds: readonly FeedSlot[],
    fetches: readonly NodeOutput[],
    targets: readonly Pointer[],
  ): PreparedRun {
    return new PreparedRun(this.api, this.pointer, feeds, fetches, targets);
  }

  devices(): Device[] {
    const { api } = this;
    return withStatus(api, (status) => {
      const list = api.TF_SessionListDevices(this.pointer, status) as Pointer;
      checkStatus(api, status);
      const count = api.TF_DeviceListCount(list) as number;
      const devices = Array.from({ length: count }, (_, i) => ({
        name: api.TF_DeviceListName(list, i, status) as string,
        type: api.TF_DeviceListType(list, i, status) as string,
      }));
      api.TF_DeleteDeviceList(list);
      return devices;
    });
  }

  close(): void {
    withStatus(this.api, (status) => void this.api.TF_CloseSession(this.pointer, status));
    withStatus(this.api, (status) => void this.api.TF_DeleteSession(this.pointer, status));
  }
}

/** TF_Output is a pointer and an int, padded to 16 bytes. */
function outputBytes(outputs: readonly NodeOutput[]): Buffer {
  const bytes = Buffer.alloc(16 * outputs.length);
  outputs.forEach(({ oper, index }, i) => {
    bytes.writeBigUInt64LE(oper, 16 * i);
    bytes.writeInt32LE(index, 16 * i + 8);
  });
  return bytes;
}

function pointerBytes(pointers: readonly Pointer[]): Buffer {
  const bytes = Buffer.alloc(8 * pointers.length);
  pointers.forEach((pointer, i) => bytes.writeBigUInt64LE(pointer, 8 * i));
  return bytes;
}

/** TF_Buffer starts with its data pointer and length. */
function readBuffer(buffer: Pointer): { data: Pointer; length: number } {
  const view = new DataView(koffi.view(buffer, 16));
  return { data: view.getBigUint64(0, true), length: Number(view.getBigUint64(8, true)) };
}
