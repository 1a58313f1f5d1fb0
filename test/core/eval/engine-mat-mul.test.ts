import assert from "node:assert/strict";
import { engineMatMul } from "../../../core/eval/engine-mat-mul.ts";
import { matMul } from "../../../core/eval/mat-mul.ts";
import { makeEngine } from "../../support/engines.ts";
import { waves } from "../../support/golden.ts";
import { distance } from "../trainer/tiny.ts";

describe("engineMatMul", () => {
  for (const [kind, precision] of [
    ["captured", "fp32"],
    ["captured", "bf16"],
    ["eager on cpu", "fp32"],
  ] as const)
    it(`multiplies as the plain product does, in float32: ${kind}, ${precision}`, async () => {
      const engine = await makeEngine(kind, precision);
      const traced: string[] = [];
      const program = engine.program.bind(engine);
      engine.program = (name, trace) => {
        traced.push(name);
        return program(name, trace);
      };
      try {
        const product = engineMatMul(engine, 100);
        for (const [rowsA, rowsB, dim] of [
          [7, 5, 11],
          [7, 5, 11],
          [5, 11, 7],
          // A small one.
          [2, 3, 4],
        ] as const) {
          const [a, b] = [waves(rowsA * dim, 1), waves(rowsB * dim, 2)];
          const found = await product(a, b, rowsA, rowsB, dim);
          assert.ok(distance(found, matMul(a, b, rowsA, rowsB, dim)) < 1e-5);
        }
        assert.deepEqual(traced, kind === "captured" ? ["matMul/7x5x11", "matMul/5x11x7"] : []);
      } finally {
        engine.close();
      }
    });
});
