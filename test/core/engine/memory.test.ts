/** A long run holds as much memory at its end as at its beginning. */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import koffi from "koffi";
import * as tf from "@tensorflow/tfjs-core";
import { loadCApi, type CApi } from "../../../core/engine/c-api.ts";
import type { Engine, Feeds, Program } from "../../../core/engine/engine.ts";
import { GraphEngine } from "../../../core/engine/graph-engine.ts";
import { ensureLibrary } from "../../../core/engine/install.ts";
import { xlaProblem } from "../../../core/engine/xla.ts";
import type { NodeBackend } from "../../../core/engine/kernel-layer.ts";
import { encodeConfig } from "../../../core/engine/protos.ts";
import { makeEngine } from "../../support/engines.ts";

const [WARM_UP, RUNS, SAMPLES] = [500, 1000, 20] as const;
const EAGER_RUNS = 50;
/** A step is fed WIDTH * WIDTH bytes, and gives four times as many. */
const WIDTH = 64;
/** Under what a step is fed with, over what V8 and the allocator move by themselves. */
const BYTES_PER_RUN = 1000;
const OUTPUTS = 3;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** A train step with a matrix, its moments, a gate and outputs of several types. */
async function smallStep(engine: Engine): Promise<{ program: Program; feeds: Feeds }> {
  const [weights, m, v] = ["weights", "m", "v"].map((name) => engine.variable(name, [WIDTH, WIDTH]));
  const count = engine.variable("count", []);
  const values = (size: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(i));
  await engine.load([weights!, m!, v!].map((s) => [s, values(s.size).map(Math.abs)] as const));
  await engine.load([[count, Float32Array.of(0)]]);
  const program = await engine.program("train", (tracer) => {
    const x = tracer.input("pixels", [WIDTH, WIDTH], "uint8") as tf.Tensor2D;
    const labels = tf.oneHot(tracer.input("labels", [WIDTH], "int32"), WIDTH, 1, 0, "float32");
    const lr = tracer.input("lr", [], "float32") as tf.Scalar;
    const loss = (w: tf.Tensor) =>
      tf.losses.softmaxCrossEntropy(labels, tf.matMul(tf.div(x, 255) as tf.Tensor2D, w as tf.Tensor2D));
    const { value, grad } = tf.valueAndGrad(loss)(tracer.read(weights!));
    tracer.output("loss", value);
    tracer.output("gradient", grad);
    const finite = tf.isFinite(value);
    tracer.output("finite", finite);
    tracer.when(finite, () => {
      const step = tf.add(tracer.read(count), 1) as tf.Scalar;
      const common = { lr, step, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: tf.scalar(0.04) };
      tracer.adam({ variable: weights!, m: m!, v: v!, gradient: grad, ...common });
      tracer.assign(count, step);
    });
  });
  const feeds = {
    pixels: Uint8Array.from({ length: WIDTH * WIDTH }, (_, i) => i % 256),
    labels: Int32Array.from({ length: WIDTH }, (_, i) => i),
    lr: Float32Array.of(1e-3),
  };
  return { program, feeds };
}

/** What `measure` gives, 20 times over `runs` steps. */
async function samples(step: () => Promise<unknown>, runs: number, measure: () => number): Promise<number[]> {
  const values: number[] = [];
  for (let i = 0; i <= runs; i++) {
    if (i % (runs / SAMPLES) === 0) {
      collect();
      values.push(measure());
    }
    await step();
  }
  return values;
}

/** Growth per step: the median of the slopes between all pairs of samples, which a few outliers do not move. */
function slope(values: readonly number[], runs: number): number {
  const slopes = values.flatMap((from, i) => values.slice(i + 1).map((to, k) => (to - from) / (k + 1)));
  return slopes.sort((a, b) => a - b)[slopes.length >> 1]! / (runs / SAMPLES);
}

/** Bytes that the C allocator has given out: glibc's mallinfo2, so on Linux only. */
function allocatedBytes(): (() => number) | undefined {
  if (process.platform !== "linux") return undefined;
  const before = ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks"];
  const fields = [...before, "fordblks", "keepcost"].map((name) => [name, "size_t"] as const);
  try {
    const info = koffi.struct(Object.fromEntries(fields));
    const mallinfo2 = koffi.load("libc.so.6").func("mallinfo2", info, []) as () => Record<string, number>;
    return () => {
      const { uordblks, hblkhd } = mallinfo2();
      return uordblks! + hblkhd!;
    };
  } catch {
    return undefined; // another C library
  }
}

/** The API, and how many objects of each kind it was asked to make more than to free. */
function counted(api: CApi): { api: CApi; alive: Record<string, number> } {
  const alive: Record<string, number> = { Status: 0, Tensor: 0, Buffer: 0, Graph: 0 };
  const wrapped = Object.entries(api).map(([name, call]) => {
    const [, verb, kind] = /^TF_(New|Allocate|Delete)(Status|Tensor|Buffer|Graph)/.exec(name) ?? [];
    if (kind === undefined) return [name, call] as const;
    const counting = (...args: unknown[]) => {
      alive[kind]! += verb === "Delete" ? -1 : 1;
      return call(...args) as unknown;
    };
    return [name, counting] as const;
  });
  return { api: Object.fromEntries(wrapped) as unknown as CApi, alive };
}

describe("memory", () => {
  const countedEngine = async () => {
    (await makeEngine("captured")).close(); // loads the library without its notices
    const { api, alive } = counted(loadCApi(await ensureLibrary({})));
    const options = { precision: "fp32", device: "cpu", jit: "off", fuseFrom: 0, config: {} } as const;
    return { api, alive, open: () => new GraphEngine({ api, ...options }) };
  };

  it("does not grow with the runs of a captured step", async function () {
    const { alive, open } = await countedEngine();
    const engine = open();
    const { program, feeds } = await smallStep(engine);
    const step = () => program.run(feeds);
    for (let i = 0; i < WARM_UP; i++) await step();

    const atStart = { ...alive };
    const measure = allocatedBytes();
    const bytes = await samples(step, RUNS, () => measure?.() ?? 0);
    engine.profile(program, feeds);
    const growth = Object.entries(alive).map(([kind, count]) => [kind, count - atStart[kind]!]);
    // A run also frees its outputs, which TensorFlow made.
    const freed = -OUTPUTS * (RUNS + 2);
    assert.deepEqual(Object.fromEntries(growth), { Status: 0, Buffer: 0, Graph: 0, Tensor: freed });
    const perRun = slope(bytes, RUNS);
    assert.ok(Math.abs(perRun) < BYTES_PER_RUN, `${perRun.toFixed(0)} bytes per run: ${bytes.join(" ")}`);
    engine.close();
  });

  it("does not grow with runs that fail", async () => {
    const { alive, open } = await countedEngine();
    const engine = open();
    const program = await engine.program("gather", (tracer) => {
      const x = tracer.input("x", [3], "float32");
      tracer.output("y", tf.gather(x, tracer.input("at", [1], "int32")));
    });
    const fail = () =>
      assert.rejects(program.run({ x: new Float32Array(3), at: Int32Array.of(9) }), /out of range|not in/);
    await fail();
    const atStart = { ...alive };
    for (let i = 0; i < 10; i++) await fail();
    assert.deepEqual(alive, atStart);
    engine.close();
  });

  it("does not grow with a look for a compiler that fails", async () => {
    const { api, alive } = await countedEngine();
    const atStart = { ...alive };
    const TF_GraphToFunction = (() => {
      throw new Error("no functions here");
    }) as unknown as CApi["TF_GraphToFunction"];
    assert.equal(await xlaProblem({ ...api, TF_GraphToFunction }, encodeConfig({})), "no functions here");
    assert.deepEqual(alive, atStart);
  });

  it("does not grow with programs: tracing leaves no tensor, and its graph goes with the engine", async () => {
    const { alive, open } = await countedEngine();
    const tensors = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) {
      const atStart = { ...alive };
      const engine = open();
      const { program } = await smallStep(engine);
      engine.verify(program);
      engine.close();
      assert.deepEqual(alive, atStart);
      assert.equal(tf.memory().numTensors, tensors);
    }
  });

  for (const kind of ["eager on tensorflow", "eager on cpu"] as const) {
    it(`does not grow with the steps run ${kind}`, async () => {
      const engine = await makeEngine(kind);
      const { program, feeds } = await smallStep(engine);
      const step = () => program.run(feeds);
      await step();
      await tf.setBackend(engine.description.backend);
      const backend = tf.backend() as Partial<NodeBackend>;
      const count = () => [tf.memory().numTensors, backend.binding?.getNumOfTensors()];
      const atStart = count();
      for (let i = 0; i < EAGER_RUNS; i++) await step();
      assert.deepEqual(count(), atStart);
      engine.close();
    });
  }
});
