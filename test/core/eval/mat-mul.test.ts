import assert from "node:assert/strict";
import { matMul } from "../../../core/eval/mat-mul.ts";
import { Random } from "../../../core/random.ts";

describe("matMul", () => {
  for (const [rowsA, rowsB, dim] of [
    [1, 1, 1],
    [3, 3, 5],
    [50, 49, 7],
    [97, 101, 33],
  ] as const) {
    it(`is A B^T for [${rowsA}, ${dim}] and [${rowsB}, ${dim}], whole blocks or not`, () => {
      const random = new Random(1, "mat-mul test", rowsA);
      const a = Float32Array.from({ length: rowsA * dim }, () => random.normal());
      const b = Float32Array.from({ length: rowsB * dim }, () => random.normal());
      const expected = Float32Array.from({ length: rowsA * rowsB }, (_, o) => {
        let sum = 0;
        for (let d = 0; d < dim; d++) sum += a[Math.floor(o / rowsB) * dim + d]! * b[(o % rowsB) * dim + d]!;
        return sum;
      });
      assert.deepEqual(matMul(a, b, rowsA, rowsB, dim), expected);
    });
  }

  it("gives equal rows the same product at every place, so that ties can be broken by index", () => {
    const random = new Random(2, "mat-mul test");
    const row = Array.from({ length: 384 }, () => random.normal());
    const rows = Float32Array.from(Array.from({ length: 53 }, () => row).flat());
    assert.equal(new Set(matMul(rows, rows, 53, 53, 384)).size, 1);
  });
});
