import assert from "node:assert/strict";
import { positionForm, resizePositions } from "../../../core/weights/positions.ts";
import { distance } from "../trainer/tiny.ts";
import { golden } from "./fixtures.ts";

describe("positions of a file", () => {
  for (const { from, to, positions, resized } of golden.positions) {
    it(`of ${from} x ${from} patches are resized to ${to} x ${to} as timm does`, () => {
      assert.ok(distance(resizePositions(Float32Array.from(positions), 2, from, to), resized) < 1e-5);
    });
  }

  it("that are all the same stay so at any size", () => {
    const same = Float32Array.from({ length: 5 * 5 * 3 }, (_, i) => i % 3);
    const wanted = Float32Array.from({ length: 8 * 8 * 3 }, (_, i) => i % 3);
    assert.ok(distance(resizePositions(same, 3, 5, 8), wanted) < 1e-6);
  });

  it("are of the class token and a square of patches, of the patches alone, or of registers too", () => {
    assert.deepEqual(positionForm(197, 0), { front: 1, side: 14 });
    assert.deepEqual(positionForm(1370, 4), { front: 1, side: 37 });
    assert.deepEqual(positionForm(196, 4), { front: 0, side: 14 });
    assert.deepEqual(positionForm(201, 4), { front: 5, side: 14 });
    for (const [rows, registers] of [
      [198, 0],
      [0, 0],
      [200, 2],
    ] as const)
      assert.equal(positionForm(rows, registers), undefined);
  });
});
