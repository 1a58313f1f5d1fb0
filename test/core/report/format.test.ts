import assert from "node:assert/strict";
import { duration, number, percent, title } from "../../../core/report/format.ts";

describe("format", () => {
  it("shows shares in per cent", () => {
    assert.deepEqual([0.36839, 0, 1, NaN].map(percent), [
      "36.8\u00a0%",
      "0.0\u00a0%",
      "100.0\u00a0%",
      "not finite",
    ]);
  });

  it("shows numbers with four digits", () => {
    const shown = [0, 1.23456, -0.012345, 999.96, 3780, 12345.6, 2.7e-10, 5e-4, 1e7, NaN].map(number);
    const expected = [
      "0",
      "1.235",
      "-0.01235",
      "1000",
      "3,780",
      "12,346",
      "2.7e-10",
      "5e-4",
      "1e7",
      "not finite",
    ];
    assert.deepEqual(shown, expected);
  });

  it("shows seconds in the unit that fits", () => {
    const shown = [0, 59, 61, 3599, 3600, 5025, 200_000].map(duration);
    assert.deepEqual(shown, ["0 s", "59 s", "1 min", "1 h 0 min", "1 h 0 min", "1 h 24 min", "2 d 7 h"]);
  });

  it("makes titles of names", () => {
    assert.deepEqual(["gradNorm", "pixel-relation", "lr"].map(title), ["Grad norm", "Pixel relation", "Lr"]);
  });
});
