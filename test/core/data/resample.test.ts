import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Channels, Raster } from "../../../core/data/decode.ts";
import { Resampler, type ResampleOptions } from "../../../core/data/resample.ts";
import { Random } from "../../../core/random.ts";
import { MODULE, wasmModule } from "../../../scripts/wasm-module.ts";

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

/** Keys' cubic with a = -1/2. */
function cubic(x: number): number {
  const t = Math.abs(x);
  return t < 1 ? (1.5 * t - 2.5) * t * t + 1 : t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}

/** One axis of a resize in plain sums: `length` bytes, `step` apart, to `outputs` bytes. */
function line(values: readonly number[], outputs: number): number[] {
  const scale = values.length / outputs;
  const support = 2 * Math.max(scale, 1);
  return Array.from({ length: outputs }, (_, output) => {
    const center = (output + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(values.length, Math.trunc(center + support + 0.5));
    const read = values.slice(start, end);
    const weights = read.map((_, i) => cubic((start + i - center + 0.5) * (1 / Math.max(scale, 1))));
    const total = weights.reduce((sum, weight) => sum + weight);
    const fixed = weights.map((weight) => Math.round(weight * (1 / total) * 2 ** 22));
    const sum = read.reduce((all, value, i) => all + value * fixed[i]!, 2 ** 21);
    return Math.min(255, Math.max(0, Math.floor(sum / 2 ** 22)));
  });
}

/** A crop resized by `line`, columns after rows. */
function plain({ data, width, channels }: Raster, { region, ...size }: ResampleOptions): Uint8Array {
  const { x, y } = region;
  const planes = Array.from({ length: channels }, (_, c) => {
    const rows = Array.from({ length: region.height }, (_, v) =>
      line(
        Array.from({ length: region.width }, (_, u) => data[((y + v) * width + x + u) * channels + c]!),
        size.width,
      ),
    );
    return rows[0]!.map((_, u) =>
      line(
        rows.map((row) => row[u]!),
        size.height,
      ),
    );
  });
  return Uint8Array.from({ length: size.width * size.height * channels }, (_, i) => {
    const pixel = Math.floor(i / channels);
    return planes[i % channels]![pixel % size.width]![Math.floor(pixel / size.width)]!;
  });
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

  it("gives what plain sums give, for sizes of all kinds", () => {
    const random = new Random(0, "resample.test");
    for (let i = 0; i < 60; i++) {
      const channels = i % 2 === 0 ? 3 : 1;
      const noise = raster(40 + i, 30 + ((7 * i) % 40), channels, () => random.integer(0, 255));
      const side = (most: number) => random.integer(1, most);
      const [width, height] = [side(noise.width), side(noise.height)];
      const region = {
        x: random.integer(0, noise.width - width),
        y: random.integer(0, noise.height - height),
        width,
        height,
      };
      // Shrinking by 4 both ways would take a halved copy.
      const options = { region, width: side(40), height: Math.max(side(40), Math.ceil(height / 3.9)) };
      assert.deepEqual(resize(noise, options), plain(noise, options), JSON.stringify({ channels, options }));
    }
  });

  it("shrinks one axis alone by any factor", () => {
    const wide = raster(9000, 3, 3, () => 90);
    const region = { x: 0, y: 0, width: 9000, height: 3 };
    assert.ok(resize(wide, { region, width: 1, height: 3 }).every((value) => value === 90));
    const high = raster(3, 9000, 1, () => 90);
    assert.ok(
      resize(high, { region: { ...region, width: 3, height: 9000 }, width: 700, height: 1 }).every(
        (v) => v === 90,
      ),
    );
  });

  it("may go back to an image after another", () => {
    const region = { x: 0, y: 0, width: 200, height: 160 };
    const options = { region, width: 20, height: 16 };
    const images = [1, 2].map((key) => raster(200, 160, 3, (x, y) => (x * key + y) % 256));
    const resamplers = images.map((image) => new Resampler(image));
    const alone = images.map((image) => resize(image, options));
    for (const one of [0, 1, 0]) {
      const out = new Uint8Array(20 * 16 * 3);
      resamplers[one]!.resize(options, out);
      assert.deepEqual(out, alone[one]);
    }
  });

  it("runs what `npm run build:wasm` makes of its source", async () => {
    assert.ok(readFileSync(MODULE, "utf8") === (await wasmModule()), "run `npm run build:wasm`");
  });

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
