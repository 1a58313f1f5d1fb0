/** Registers relata's tfjs backends: "tensorflow" (eager) and "relata-graph" (tracing). */
import * as tf from "@tensorflow/tfjs-core";
import { errors } from "../errors.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import type { CApi } from "./c-api.ts";
import { EagerBinding } from "./eager-binding.ts";
import type { GraphBinding } from "./graph-binding.ts";
import { NodeJSKernelBackend, type NodeBackend, type TensorData } from "./kernel-layer.ts";
import { registerRelataKernels, registerTracingKernels } from "./kernels.ts";

const PACKAGE = "@tensorflow/tfjs-node-gpu";
export const EAGER_BACKEND = "tensorflow";
const GRAPH_BACKEND = "relata-graph";

let eagerApi: CApi | undefined;

/** Makes "tensorflow" a tfjs backend, once per process. tfjs's kernels find its constants by that name. */
export function registerEagerBackend(api: CApi, config: Buffer): void {
  if (eagerApi) return;
  eagerApi = api;
  tf.enableProdMode(); // tfjs otherwise greets every Node process on the console
  registerRelataKernels(EAGER_BACKEND);
  tf.copyRegisteredKernels(EAGER_BACKEND, GRAPH_BACKEND);
  registerTracingKernels(GRAPH_BACKEND);
  refuseMissingKernels();
  tf.registerBackend(EAGER_BACKEND, () => new NodeJSKernelBackend(new EagerBinding(api, config), PACKAGE), 0);
}

/** tfjs's complaint about a kernel that a backend lacks does not say whose code asked for it. */
function refuseMissingKernels(): void {
  const names = Object.entries(tf).flatMap(([key, value]) => (value === key ? [key] : []));
  for (const kernelName of names) {
    if (tf.getKernel(kernelName, GRAPH_BACKEND)) continue;
    const kernelFunc = () => {
      throw errors.opMissing(pluginOf(currentScope()), currentScope(), kernelName);
    };
    tf.registerKernel({ kernelName, backendName: GRAPH_BACKEND, kernelFunc });
  }
}

/** The ops of tfjs that draw random values in JavaScript, as tfjs names their scopes. */
const randomOp = /^(rand|random[A-Z]\w*|truncatedNormal|dropout)$/;

const activeOp = (): string => tf.engine().state.activeScope.name.replace(/__op$/, "");

/** A tfjs backend over a tracing binding. */
class TracingBackend extends NodeJSKernelBackend {
  /** tfjs would read the values of a tensor that another backend has, and take them away from there. */
  override readonly tensorMap = new tf.DataStorage<TensorData>(this, {
    moveData() {
      throw errors.foreignTensor(pluginOf(currentScope()), currentScope(), activeOp());
    },
  });

  /** Keeps the node: gradient functions of tfjs use tensors that a tidy has disposed of. */
  override disposeData(dataId: object, force = false): boolean {
    if (!this.tensorMap.has(dataId)) return true;
    const data = this.tensorMap.get(dataId);
    data.refCount--;
    return force || data.refCount <= 0;
  }

  /** Values become a constant of the graph: random ones would be the same in every step. */
  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    const op = activeOp();
    if (randomOp.test(op)) throw errors.statefulOp(pluginOf(currentScope()), currentScope(), op);
    return super.write(values, shape, dtype);
  }
}

/** Runs `body` with tfjs's ops adding nodes through `binding`; synchronous, so nothing else sees the backend. */
export function tracing<T>(binding: GraphBinding, body: (backend: NodeBackend) => T): T {
  const backend = new TracingBackend(binding, PACKAGE);
  tf.registerBackend(GRAPH_BACKEND, () => backend, 0);
  try {
    return onBackend(GRAPH_BACKEND, () => body(backend));
  } finally {
    tf.removeBackend(GRAPH_BACKEND);
  }
}

/** Runs `body` on a registered backend and frees what it made and did not keep. */
export function onBackend<T>(name: string, body: () => T): T {
  const outer = tf.getBackend() as string | null | undefined;
  activate(name);
  tf.engine().startScope(name);
  try {
    return body();
  } finally {
    tf.engine().endScope();
    if (outer) activate(outer);
  }
}

/** tfjs's setBackend gives a promise, but a registered backend is active when it returns. */
function activate(name: string): void {
  void tf.setBackend(name);
}
