/** Runs many cases of the table as one program of an engine. */
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Feeds, Tracer } from "../../../../core/engine/engine.ts";
import { withScope } from "../../../../core/scopes.ts";
import type { OpCase, Sample } from "./op-case.ts";

export interface CaseResult {
  readonly outputs: readonly number[][];
  /** d of the outputs' weighted sum to each float input; undefined where asking for it is an error. */
  readonly gradients?: readonly number[][];
}

/** The weight of an output's element in the sum that is differentiated. */
export const weight = (output: number, index: number): number => Math.cos((index + 1) * (output + 1));

/** How input elements move, to compare gradients with differences. */
export const direction = (input: number, index: number): number => Math.sin(1 + 3 * index + input);

const sizeOf = ({ shape }: Sample) => shape.reduce((a, b) => a * b, 1);
export const isFloat = ({ dtype }: Sample) => dtype === "float32";

/** The samples' values; float inputs moved by `shift` times the direction. */
function feedsOf(cases: readonly OpCase[], shift: number): Feeds {
  const feeds: Record<string, Float32Array | Int32Array> = {};
  cases.forEach(({ inputs }, c) =>
    inputs.forEach((sample, n) => {
      const move = isFloat(sample) ? shift : 0;
      const at = (_: unknown, i: number) => sample.value(i, n) + move * direction(n, i);
      const values = Array.from({ length: sizeOf(sample) }, at);
      feeds[`${c}.${n}`] = isFloat(sample) ? Float32Array.from(values) : Int32Array.from(values);
    }),
  );
  return feeds;
}

function placeholders(tracer: Tracer, c: number, { inputs }: OpCase): tf.Tensor[] {
  return inputs.map((sample, n) => {
    const x = tracer.input(`${c}.${n}`, sample.shape, isFloat(sample) ? "float32" : "int32");
    return sample.dtype === "bool" ? tf.cast(x, "bool") : x;
  });
}

/** The gradients to the float inputs of the weighted sum of all outputs. */
function gradientsOf({ inputs, run }: OpCase, xs: readonly tf.Tensor[]): tf.Tensor[] {
  const total = (...floats: tf.Tensor[]) => {
    const next = floats.values();
    const ys = [run(...inputs.map((sample, n) => (isFloat(sample) ? next.next().value! : xs[n]!)))].flat();
    const terms = ys.map((y, k) => {
      const weights = tf.cos(tf.mul(tf.range(1, y.size + 1), k + 1));
      return tf.sum(tf.mul(tf.reshape(y, [y.size]), weights));
    });
    return tf.addN(terms);
  };
  return tf.grads(total)(xs.filter((_, n) => isFloat(inputs[n]!)));
}

export interface RunOptions {
  /** Also differentiates the cases with float inputs. */
  readonly gradients: boolean;
  readonly shift?: number;
}

export async function runCases(
  engine: Engine,
  cases: readonly OpCase[],
  { gradients, shift = 0 }: RunOptions,
): Promise<CaseResult[]> {
  const program = await engine.program("cases", (tracer) => {
    cases.forEach((oneCase, c) =>
      withScope(oneCase.op, () => {
        const xs = placeholders(tracer, c, oneCase);
        [oneCase.run(...xs)].flat().forEach((y, i) => tracer.output(`${c} output ${i}`, y));
        if (!gradients || !oneCase.inputs.some(isFloat)) return;
        let found: tf.Tensor[];
        try {
          found = gradientsOf(oneCase, xs);
        } catch {
          return; // the table says which have none
        }
        found.forEach((g, i) => tracer.output(`${c} gradient ${i}`, g));
      }),
    );
  });
  const results = await program.run(feedsOf(cases, shift));
  return cases.map((_, c) => {
    const list = (kind: string) =>
      Object.entries(results).flatMap(([name, values]) =>
        name.startsWith(`${c} ${kind}`) ? [[...values]] : [],
      );
    const found = list("gradient");
    return { outputs: list("output"), gradients: found.length > 0 ? found : undefined };
  });
}
