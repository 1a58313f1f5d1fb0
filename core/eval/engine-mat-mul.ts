import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Program } from "../engine/engine.ts";
import { float32 } from "../math/index.ts";
import { matMul, type MatMul } from "./mat-mul.ts";

/** Multiply-adds below which the plain product is done before a program has run. */
const SMALL = 2 ** 26;

/**
 * Large products by captured programs, one for each shape: many times as fast as the plain product. Sums are float32, and
 * equal rows may differ in their last bit: for fits, not for ranks. An eager engine's are plain.
 */
export function engineMatMul(engine: Engine, small = SMALL): MatMul {
  const programs = new Map<string, Promise<Program>>();
  return async (a, b, rowsA, rowsB, dim) => {
    if (engine.description.kind === "eager" || rowsA * rowsB * dim < small)
      return matMul(a, b, rowsA, rowsB, dim);
    const name = `matMul/${rowsA}x${rowsB}x${dim}`;
    const program =
      programs.get(name) ??
      engine.program(name, (tracer) => {
        const [left, right] = [
          tracer.input("a", [rowsA, dim], "float32"),
          tracer.input("b", [rowsB, dim], "float32"),
        ];
        tracer.output(
          "product",
          float32(() => tf.matMul(left, right, false, true)),
        );
      });
    programs.set(name, program);
    return (await (await program).run({ a, b }))["product"] as Float32Array;
  };
}
