import assert from "node:assert/strict";
import { jaccard, keepMass } from "../../../core/eval/attention-foreground.ts";
import { Overlap, patchFractions, Upsampler } from "../../../core/eval/segmentation.ts";

describe("segmentation", () => {
  it("takes the share of each patch that is foreground", () => {
    const mask = Uint8Array.from([1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1]);
    assert.deepEqual([...patchFractions(mask, 4, 2)], [0.75, 0, 0, 1]);
    assert.deepEqual([...patchFractions(mask, 4, 4)], [...mask]);
  });

  it("upsamples as align_corners=False does", () => {
    // Row of 2 patches to 4 pixels: PyTorch's interpolate([a, b]) is [a, 0.75 a + 0.25 b, 0.25 a + 0.75 b, b].
    const found = (left: number, right: number) => {
      const scores = Float64Array.of(left, right, left, right);
      return [...new Upsampler(2, 4).foreground(scores, new Uint8Array(16)).subarray(0, 4)];
    };
    assert.deepEqual(found(1, -1), [1, 1, 0, 0]);
    assert.deepEqual(found(1, -2.9), [1, 1, 0, 0]);
    assert.deepEqual(found(1, -3.1), [1, 0, 0, 0]);
    assert.deepEqual(found(1, -0.3), [1, 1, 1, 0]);
    assert.deepEqual(found(0, 0), [0, 0, 0, 0]);
  });

  it("upsamples rows and columns alike, and one patch to all pixels", () => {
    const scores = Float64Array.of(4, -1, -1, -1);
    // At pixel (1, 1): 0.5625 * 4 - 0.4375 > 0; at (1, 2): 0.1875 * 4 - 0.8125 < 0.
    const expected = [1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    assert.deepEqual([...new Upsampler(2, 4).foreground(scores, new Uint8Array(16))], expected);
    assert.deepEqual(
      [...new Upsampler(1, 2).foreground(Float64Array.of(0.1), new Uint8Array(4))],
      [1, 1, 1, 1],
    );
  });

  it("sums intersections and unions over images", () => {
    const overlap = new Overlap();
    overlap.add(Uint8Array.of(1, 1, 0, 0), Uint8Array.of(1, 0, 1, 0));
    assert.deepEqual([overlap.foreground, overlap.background, overlap.mean], [1 / 3, 1 / 3, 1 / 3]);
    overlap.add(Uint8Array.of(1, 1, 1, 0), Uint8Array.of(1, 1, 1, 0));
    assert.deepEqual([overlap.foreground, overlap.background], [4 / 6, 2 / 4]);
    assert.ok(Math.abs(overlap.mean - 7 / 12) < 1e-12);
  });
});

describe("attention foreground", () => {
  it("keeps the largest patches up to the share, the one that reaches it included", () => {
    const attention = Float32Array.of(0.1, 0.3, 0.05, 0.25); // of 0.7 in all: 0.42 to keep
    assert.deepEqual([...keepMass(attention, 0.6)], [0, 1, 0, 1]);
    assert.deepEqual([...keepMass(attention, 0.4)], [0, 1, 0, 0]);
    assert.deepEqual([...keepMass(attention, 1)], [1, 1, 1, 1]);
  });

  it("is compared with masks in pixels", () => {
    // Kept: one and a half patches of foreground of two; in all 1.5 + 0.5 more.
    assert.equal(jaccard(Uint8Array.of(1, 1, 0), Float32Array.of(1, 0.5, 0.5)), 1.5 / 2.5);
    assert.equal(jaccard(Uint8Array.of(0, 0), Float32Array.of(0, 0)), 0);
  });
});
