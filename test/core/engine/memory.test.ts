/** A long run holds as much memory at its end as at its beginning. */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import koffi from "koffi";
import * as tf from "@tensorflow/tfjs-core";
import { loadCApi, type CApi } from "../../../core/engine/c-api.ts";
import { createEngine } from "../../../core/engine/create-engine.ts";
import type { Engine, Feeds, Program } from "../../../core/engine/engine.ts";
import { GraphEngine } from "../../../core/engine/graph-engine.ts";
import { ensureLibrary } from "../../../core/engine/install.ts";
import { makeEngine } from "../../support/engines.ts";

const [WARM_UP, RUNS, SAMPLES] = [500, 1000, 20] as const;
const WIDTH = 32;

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

/** How much `measure` grows per run, by a straight line through samples of it. */
async function slope(step: () => Promise<unknown>, measure: () => number): Promise<number> {
  for (let i = 0; i < WARM_UP; i++) await step();
  const points: [number, number][] = [];
  for (let i = 0; i <= RUNS; i++) {
    if (i % (RUNS / SAMPLES) === 0) {
      collect();
      points.push([i, measure()]);
    }
    await step();
  }
  const mean = (k: 0 | 1) => points.reduce((sum, p) => sum + p[k], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, p) => sum + (p[0] - x) * (p[1] - y), 0);
  return covariance / points.reduce((sum, p) => sum + (p[0] - x) ** 2, 0);
}

/** Bytes that the C allocator has given out; glibc's, so on Linux only. */
function allocatedBytes(): (() => number) | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const info = koffi.struct(
      Object.fromEntries(
        ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"].map(
          (field) => [field, "size_t"],
        ),
      ),
    );
    const mallinfo2 = koffi.load("libc.so.6").func("mallinfo2", info, []) as () => Record<string, number>;
    return () => {
      const { uordblks, hblkhd } = mallinfo2();
      return uordblks! + hblkhd!;
    };
  } catch {
    return undefined;
  }
}

/** The API with every object that it makes and frees counted, by kind. */
function counted(api: CApi): { api: CApi; alive: Record<string, number> } {
  const alive: Record<string, number> = {};
  const kinds: Record<string, [kind: string, change: number]> = {
    TF_NewStatus: ["status", 1],
    TF_DeleteStatus: ["status", -1],
    TF_AllocateTensor: ["tensor", 1],
    TF_DeleteTensor: ["tensor", -1],
    TF_NewBuffer: ["buffer", 1],
    TF_NewBufferFromString: ["buffer", 1],
    TF_DeleteBuffer: ["buffer", -1],
  };
  const counting = Object.entries(api).map(([name, call]) => {
    const effect = kinds[name];
    if (!effect) return [name, call] as const;
    const [kind, change] = effect;
    const wrapped = (...args: unknown[]) => {
      alive[kind] = (alive[kind] ?? 0) + change;
      return call(...args) as unknown;
    };
    return [name, wrapped] as const;
  });
  return { api: Object.fromEntries(counting) as unknown as CApi, alive };
}

describe("memory", () => {
  it("of a captured step: the allocator's bytes have no slope", async function () {
    const measure = allocatedBytes();
    if (!measure) return this.skip();
    const engine = await makeEngine("captured");
    const { program, feeds } = await smallStep(engine);
    const bytes = await slope(() => program.run(feeds), measure);
    console.log(bytes, tf.memory().numTensors);
    engine.close();
  });

  for (const kind of ["eager on tensorflow", "eager on cpu"] as const) {
    it(`of a step, ${kind}: tensors`, async () => {
      const engine = await makeEngine(kind);
      const { program, feeds } = await smallStep(engine);
      console.log(await slope(() => program.run(feeds), () => tf.memory().numTensors), tf.memory(), allocatedBytes()?.());
      engine.close();
    });
  }
});
void createEngine; void GraphEngine; void loadCApi; void ensureLibrary; void counted; void assert;
