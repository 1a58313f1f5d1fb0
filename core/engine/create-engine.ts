/** Makes the engine that a config asks for; a GPU that was asked for and is not there is an error. */
import * as tf from "@tensorflow/tfjs-core";
import { errors } from "../errors.ts";
import { encodeConfig, type ConfigProto } from "./protos.ts";
import { loadCApi, type CApi } from "./c-api.ts";
import type { Engine, Jit, Precision } from "./engine.ts";
import { chooseDevice } from "./device.ts";
import { quietEnvironment, type TensorFlowLibrary } from "./library.ts";
import { quietly } from "./quiet.ts";

export interface EngineOptions {
  readonly engine: "graph" | "eager";
  /** Of the eager engine. */
  readonly backend: "tensorflow" | "cpu";
  readonly device: "cpu" | "gpu" | "auto";
  readonly precision: Precision;
  readonly jit: Jit;
  /** Pieces of fewer elements are not compiled; left out, what is worth it. */
  readonly fuseFrom?: number;
  /** 0 lets TensorFlow choose. */
  readonly threads: { readonly intra: number; readonly inter: number };
  /** Finds or installs libtensorflow, the GPU build or the other; not called for the cpu backend. */
  readonly library: (gpu: boolean) => Promise<TensorFlowLibrary>;
}

/** Gives why XLA cannot compile with a library and a session's config; undefined where it can. */
export type CompilerProbe = (api: CApi, config: Buffer) => Promise<string | undefined>;

const XLA_ON = 2;
/** The call of a compiled piece costs more than it saves for tensors smaller than that. */
const FUSED_ELEMENTS = 16_384;

const tryXla: CompilerProbe = async (...given) => (await import("./xla.ts")).xlaProblem(...given);

/** Where something is to be compiled and XLA cannot, nothing is, and the engine's description tells why. */
export async function createEngine(
  options: EngineOptions,
  compilerProblem: CompilerProbe = tryXla,
): Promise<Engine> {
  const { engine, backend, precision } = options;
  if (engine === "eager" && precision !== "fp32") throw errors.eagerPrecision(precision);
  if (engine === "eager" && options.device === "gpu") throw errors.gpuUnavailable(["eager engine: CPU only"]);
  const { device, problem: deviceProblem } = chooseDevice(engine === "eager" ? "cpu" : options.device);
  if (engine === "eager" && backend === "cpu") {
    tf.enableProdMode();
    await import("@tensorflow/tfjs-backend-cpu");
    await import("./kernel-layer.ts"); // brings tfjs's gradients, which tfjs-core registers in browsers only
    const { EagerEngine } = await import("./eager-engine.ts");
    return new EagerEngine({ backend, library: `tfjs-backend-cpu ${tf.version_core}` });
  }

  quietEnvironment();
  if (options.jit === "xla" && device !== "gpu") {
    // Read when the library loads. It lets `global_jit_level` decide for CPUs too.
    process.env["TF_XLA_FLAGS"] ??= "--tf_xla_cpu_global_jit";
  }
  const library = await options.library(device === "gpu");
  const api = quietly(() => loadCApi(library));
  const config: ConfigProto = {
    intra_op_parallelism_threads: options.threads.intra,
    inter_op_parallelism_threads: options.threads.inter,
    // One process computes on one GPU; the memory of the others stays free.
    device_count: { CPU: 1, GPU: device === "gpu" ? 1 : 0 },
    gpu_options: { allow_growth: true },
    allow_soft_placement: true,
  };
  if (engine === "eager") {
    const { registerEagerBackend } = await import("./backends.ts");
    const { EagerEngine } = await import("./eager-engine.ts");
    registerEagerBackend(api, encodeConfig(config));
    return new EagerEngine({ backend: "tensorflow", library: api.TF_Version() as string });
  }
  const { GraphEngine } = await import("./graph-engine.ts");
  const compiles = options.jit !== "off";
  const jitProblem = compiles ? await compilerProblem(api, encodeConfig(config)) : undefined;
  const jit = jitProblem === undefined ? options.jit : "off";
  const optimizer_options = { global_jit_level: jit === "xla" ? XLA_ON : 0 };
  return new GraphEngine({
    ...{ api, precision, device, deviceProblem, jit, jitProblem },
    config: { ...config, graph_options: { optimizer_options } },
    fuseFrom: options.fuseFrom ?? FUSED_ELEMENTS,
  });
}
