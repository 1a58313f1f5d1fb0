/** A folder of JPEG files like those of ImageNet in size, the same on every machine up to the encoder. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { Random } from "../core/random.ts";

/** Most photos lie, some stand. */
const SHAPES = [
  [500, 375],
  [500, 333],
  [375, 500],
] as const;
const QUALITY = 90;
const WAVES = 12;

/** Writes `count` files: waves of all lengths, as edges and surfaces have them, and noise. About 65 kB each. */
export async function makePhotos(folder: string, count: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < count; i++) {
    const [width, height] = SHAPES[i % SHAPES.length]!;
    const pixels = photo(new Random(0, "photo", i), width, height);
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: QUALITY })
      .toFile(join(folder, `${String(i).padStart(4, "0")}.jpg`));
  }
}

function photo(random: Random, width: number, height: number): Uint8Array {
  const waves = Array.from({ length: WAVES }, () => {
    const frequency = 1 / random.uniform(4, 200);
    const angle = random.uniform(0, 2 * Math.PI);
    const tint = [0, 1, 2].map(() => random.uniform(0, 3 / Math.sqrt(frequency)));
    return { x: frequency * Math.cos(angle), y: frequency * Math.sin(angle), tint };
  });
  const pixels = new Uint8ClampedArray(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const noise = (random.uint32() >>> 27) - 16;
      for (let c = 0; c < 3; c++) {
        const level = waves.reduce(
          (sum, wave) => sum + wave.tint[c]! * Math.sin(wave.x * x + wave.y * y + c),
          128,
        );
        pixels[at + c] = level + noise;
      }
    }
  }
  return new Uint8Array(pixels.buffer);
}
