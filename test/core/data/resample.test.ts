import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Channels, Raster } from "../../../core/data/decode.ts";
import { Resampler, type ResampleOptions } from "../../../core/data/resample.ts";

interface Golden {
  cases: {
    name: string;
    source: [number, number, Channels];
    region: [number, number, number, number];
    output: [number, number];
    cropFirst: boolean;
    sha256: string;
    bytes?: number[];
  }[];
}
const golden = JSON.parse(
  readFileSync(new URL("../../fixtures/data/pillow-bicubic.json", import.meta.url), "utf8"),
) as Golden;

/** The image that the fixture was made from: see its "pixel". */
function goldenImage(width: number, height: number, channels: Channels): Raster {
  return raster(width, height, channels, (x, y, c) => {
    return (x * 7 + y * 13 + c * 29 + Math.floor((x * y) / 3) + Math.floor((x * x * y * (c + 1)) / 11)) % 256;
  });
}

function raster(
  width: number,
  height: number,
  channels: Channels,
  value: (x: number, y: number, c: number) => number,
): Raster {
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / channels);
    data[i] = value(pixel % width, Math.floor(pixel / width), i % channels);
  }
  return { data, width, height, channels };
}

function resize(image: Raster, options: ResampleOptions): Uint8Array {
  const out = new Uint8Array(options.width * options.height * image.channels);
  new Resampler(image).resize(options, out);
  return out;
}

describe("Resampler", () => {
  for (const { name, source, region, output, cropFirst, sha256, bytes } of golden.cases) {
    it(`gives Pillow's bytes: ${name}`, () => {
      const [x, y, width, height] = region;
      const bounds = { x: 0, y: 0, width: source[0], height: source[1] };
      const out = resize(goldenImage(...source), {
        region: { x, y, width, height },
        width: output[0],
        height: output[1],
        bounds: cropFirst ? undefined : bounds,
      });
      if (bytes) assert.deepEqual([...out], bytes);
      assert.equal(createHash("sha256").update(out).digest("hex"), sha256);
    });
  }

  it("mirrors: a flipped view of an image is the view of the flipped image", () => {
    const image = goldenImage(50, 37, 3);
    const mirrored = raster(50, 37, 3, (x, y, c) => image.data[(y * 50 + 49 - x) * 3 + c]!);
    const region = { x: 4, y: 2, width: 20, height: 30 };
    const flipped = resize(image, { region, width: 12, height: 16, flip: true });
    const there = resize(mirrored, { region: { ...region, x: 50 - 4 - 20 }, width: 12, height: 16 });
    assert.deepEqual(flipped, there);
  });

  it("keeps a ramp a ramp when shrinking through halved copies", () => {
    // Along x: 0 … 199.5 in steps of a half, rounded. Shrunk by 20, output i stands for x = 20 i + 9.5.
    const image = raster(400, 300, 3, (x) => Math.round(x / 2));
    const out = resize(image, { region: { x: 0, y: 0, width: 400, height: 300 }, width: 20, height: 15 });
    for (let i = 2; i < 18; i++) {
      const value = out[(7 * 20 + i) * 3]!;
      assert.ok(Math.abs(value - (20 * i + 9.5) / 2) <= 1, `output ${i}: ${value}`);
    }
  });

  it("shrinks through halved copies nearly as without them", () => {
    const smooth = (x: number, y: number, c: number) =>
      127 + 120 * Math.sin((x + 20 * c) / 23) * Math.cos(y / 31);
    const image = raster(333, 257, 3, smooth);
    const region = { x: 31, y: 17, width: 280, height: 226 };
    const [coarse, fine] = [32, 64].map((side) => resize(image, { region, width: side, height: side }));
    // 280 / 64 shrinks by 3.5 at least and takes no copy. Pairs of its pixels are the coarse view's.
    let worst = 0;
    for (let y = 2; y < 30; y++) {
      for (let x = 2; x < 30; x++) {
        const at = (v: number, u: number) => fine![((2 * y + v) * 64 + 2 * x + u) * 3]!;
        const mean = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4;
        worst = Math.max(worst, Math.abs(coarse![(y * 32 + x) * 3]! - mean));
      }
    }
    assert.ok(worst < 4, `differs by ${worst} of 255`);
  });

  it("reads nothing outside of the region, or of the bounds", () => {
    const region = { x: 10, y: 10, width: 80, height: 80 };
    const inside = (x: number, y: number) => x >= 10 && x < 90 && y >= 10 && y < 90;
    const image = raster(100, 100, 1, (x, y) => (inside(x, y) ? 200 : 0));
    for (const side of [200, 80, 30]) {
      assert.ok(resize(image, { region, width: side, height: side }).every((value) => value === 200));
    }
    const bounds = { x: 0, y: 0, width: 100, height: 100 };
    assert.ok(resize(image, { region, width: 30, height: 30, bounds })[0]! < 200);
  });
});
