import assert from "node:assert/strict";
import { join } from "node:path";
import sharp, { type Raw, type Sharp } from "sharp";
import { decode, decodeRgba } from "../../../core/data/decode.ts";
import { picture, temporaryFolder, writeAt } from "./image-files.ts";

const RED = [255, 0, 0];
const COLORS = [...RED, 0, 255, 0, 0, 0, 255, 10, 20, 30];

/** 2 x 2 pixels. */
function pixels(values: number[] | Uint16Array, channels: Raw["channels"]): Sharp {
  const data = values instanceof Uint16Array ? values : Uint8Array.from(values);
  return sharp(data, { raw: { width: 2, height: 2, channels } });
}

describe("decode", () => {
  const folder = temporaryFolder();
  const save = async (name: string, image: Sharp) => writeAt(join(folder(), name), await image.toBuffer());

  const exact: [string, () => Sharp][] = [
    ["colours.png", () => pixels(COLORS, 3).png()],
    ["palette.png", () => pixels(COLORS, 3).png({ palette: true })],
    ["colours.webp", () => pixels(COLORS, 3).webp({ lossless: true })],
    ["colours.gif", () => pixels(COLORS, 3).gif()],
    ["colours.tiff", () => pixels(COLORS, 3).tiff({ compression: "lzw" })],
    ["colours.avif", () => pixels(COLORS, 3).avif({ lossless: true })],
  ];
  for (const [name, make] of exact) {
    it(`reads ${name} exactly`, async () => {
      const image = await decode(await save(name, make()));
      assert.deepEqual([image.width, image.height, image.channels], [2, 2, 3]);
      assert.deepEqual([...image.data], COLORS);
    });
  }

  it("reads a JPEG within its loss", async () => {
    const source = picture(32, 24);
    const image = await decode(
      await save("smooth.jpg", source.clone().jpeg({ quality: 100, chromaSubsampling: "4:4:4" })),
    );
    const expected = await source.raw().toBuffer();
    assert.deepEqual([image.width, image.height, image.channels], [32, 24, 3]);
    assert.ok(image.data.every((value, i) => Math.abs(value - expected[i]!) <= 4));
  });

  it("takes the first frame of an animated GIF", async () => {
    const frame = (background: string) =>
      sharp({ create: { width: 4, height: 3, channels: 3, background } })
        .png()
        .toBuffer();
    const frames = await Promise.all([frame("#ff0000"), frame("#00ff00")]);
    const animated = sharp(frames, { join: { animated: true } }).gif();
    const image = await decode(await save("animated.gif", animated));
    assert.deepEqual([image.width, image.height], [4, 3]);
    assert.deepEqual([...image.data.subarray(0, 3)], RED);
  });

  it("makes grey images grey in three channels, and keeps their values in one", async () => {
    const path = await save("grey.png", pixels([0, 50, 100, 200], 1).toColourspace("b-w").png());
    assert.deepEqual(
      [...(await decode(path)).data],
      [0, 50, 100, 200].flatMap((v) => [v, v, v]),
    );
    const grey = await decode(path, { channels: 1 });
    assert.equal(grey.channels, 1);
    assert.deepEqual([...grey.data], [0, 50, 100, 200]);
  });

  it("makes colours grey by luminance, in their order of brightness", async () => {
    const path = await save("to-grey.png", pixels(COLORS, 3).png());
    const { data, channels } = await decode(path, { channels: 1 });
    assert.equal(channels, 1);
    const [red, green, blue, dark] = [...data];
    assert.ok(green! > red! && red! > blue! && blue! > dark!, `${[...data].join(", ")}`);
  });

  it("takes 16-bit values to 8 bits", async () => {
    const wide = Uint16Array.from(COLORS, (value) => value * 257);
    const image = await decode(await save("wide.png", pixels(wide, 3).toColourspace("rgb16").png()));
    assert.deepEqual([...image.data], COLORS);
    const grey = Uint16Array.of(0, 257 * 50, 257 * 100, 257 * 200);
    const path = await save("wide-grey.png", pixels(grey, 1).toColourspace("grey16").png());
    assert.deepEqual([...(await decode(path, { channels: 1 })).data], [0, 50, 100, 200]);
  });

  it("brings CMYK to sRGB", async () => {
    const colors = pixels(COLORS, 3).resize(32, 32, { kernel: "nearest" }).toColourspace("cmyk");
    const path = await save("cmyk.jpg", colors.jpeg({ quality: 100 }));
    assert.equal((await sharp(path).metadata()).space, "cmyk");
    const { data, channels } = await decode(path);
    assert.equal(channels, 3);
    const at = (x: number, y: number) => [...data.subarray((y * 32 + x) * 3, (y * 32 + x) * 3 + 3)];
    const strongest = (values: number[]) => values.indexOf(Math.max(...values));
    assert.deepEqual([at(4, 4), at(28, 4), at(4, 28)].map(strongest), [0, 1, 2]);
  });

  it("lays transparency on the background", async () => {
    const clear = [10, 20, 30, 255, 10, 20, 30, 0, 10, 20, 30, 0, 10, 20, 30, 255];
    const path = await save("clear.png", pixels(clear, 4).png());
    const drawn = [10, 20, 30];
    assert.deepEqual([...(await decode(path)).data], [...drawn, 255, 255, 255, 255, 255, 255, ...drawn]);
    const blue = await decode(path, { background: "#0000FF" });
    assert.deepEqual([...blue.data], [...drawn, 0, 0, 255, 0, 0, 255, ...drawn]);
    assert.deepEqual(
      [...(await decode(path, { channels: 1, background: "#000000" })).data].slice(1, 3),
      [0, 0],
    );
  });

  it("lays 16-bit and grey transparency on the background too", async () => {
    const wide = Uint16Array.from([0, 50, 100, 255, 9, 9, 9, 0, 200, 0, 0, 255, 9, 9, 9, 0], (v) => v * 257);
    const path = await save("wide-alpha.png", pixels(wide, 4).toColourspace("rgb16").png());
    const white = [255, 255, 255];
    assert.deepEqual([...(await decode(path)).data], [0, 50, 100, ...white, 200, 0, 0, ...white]);
    const grey = await save(
      "grey-alpha.png",
      pixels([7, 255, 50, 0, 100, 255, 9, 0], 2).toColourspace("b-w").png(),
    );
    assert.deepEqual([...(await decode(grey, { channels: 1 })).data], [7, 255, 100, 255]);
  });

  it("turns images upright by their EXIF orientation", async () => {
    // Stored lying down: a red left half and a blue right half. Orientation 6: turn right, so red is on top.
    const stored = sharp(Uint8Array.from([...RED, ...RED, 0, 0, 255, 0, 0, 255]), {
      raw: { width: 4, height: 1, channels: 3 },
    }).resize(32, 16, { kernel: "nearest", fit: "fill" });
    const path = await save("lying.jpg", stored.jpeg({ quality: 100 }).withMetadata({ orientation: 6 }));
    const { data, width, height } = await decode(path);
    assert.deepEqual([width, height], [16, 32]);
    const at = (y: number) => [...data.subarray((y * 16 + 8) * 3, (y * 16 + 8) * 3 + 3)];
    assert.ok(at(4)[0]! > 200 && at(4)[2]! < 60, `top ${at(4).join(", ")}`);
    assert.ok(at(28)[2]! > 200 && at(28)[0]! < 60, `bottom ${at(28).join(", ")}`);
  });

  it("keeps alpha on request, and says that opaque images are opaque", async () => {
    const values = [10, 20, 30, 40, 1, 2, 3, 0, 4, 5, 6, 255, 7, 8, 9, 128];
    const clear = await decodeRgba(await save("alpha.png", pixels(values, 4).png()));
    assert.equal(clear.channels, 4);
    assert.deepEqual([...clear.data], values);
    const opaque = await decodeRgba(await save("opaque.png", pixels(COLORS, 3).png()));
    assert.deepEqual(
      [...opaque.data],
      COLORS.flatMap((v, i) => (i % 3 === 2 ? [v, 255] : [v])),
    );
  });

  for (const extension of ["jpeg", "png", "webp", "avif", "gif", "tiff"] as const) {
    it(`refuses a truncated .${extension}`, async () => {
      const noise = { type: "gaussian" as const, mean: 128, sigma: 40 };
      const create = { width: 64, height: 64, channels: 3 as const, noise, background: "#000" };
      const whole = await sharp({ create }).toFormat(extension).toBuffer();
      const path = await writeAt(
        join(folder(), `truncated.${extension}`),
        whole.subarray(0, whole.length / 2),
      );
      await assert.rejects(decode(path), (error: Error & { code?: string }) => {
        return (
          error.code === "IMAGE_UNREADABLE" && error.message.includes(path) && !error.message.includes("\n")
        );
      });
    });
  }

  it("refuses empty files, text and missing files", async () => {
    const empty = await writeAt(join(folder(), "empty.png"), "");
    const text = await writeAt(join(folder(), "text.jpg"), "not an image");
    for (const path of [empty, text, join(folder(), "missing.png")]) {
      await assert.rejects(decode(path), { code: "IMAGE_UNREADABLE" });
      await assert.rejects(decodeRgba(path), { code: "IMAGE_UNREADABLE" });
    }
  });

  it("reads a JPEG with bytes after its end", async () => {
    const jpeg = await picture(16, 16).jpeg().toBuffer();
    const path = await writeAt(join(folder(), "longer.jpg"), Buffer.concat([jpeg, Buffer.from("more")]));
    assert.equal((await decode(path)).width, 16);
  });

  it("refuses a background that is no colour as a mistake of the config, not of the image", async () => {
    const path = await save("any.png", pixels(COLORS, 3).png());
    await assert.rejects(decode(path, { background: "whitish" }), { code: "CONFIG_INVALID" });
  });
});
