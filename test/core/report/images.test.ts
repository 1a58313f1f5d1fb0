import assert from "node:assert/strict";
import sharp from "sharp";
import {
  BOX_COLOURS,
  encodeGrid,
  encodePng,
  overlaySvg,
  type RgbImage,
} from "../../../core/report/images.ts";

function plain(width: number, height: number, rgb: readonly [number, number, number]): RgbImage {
  return { data: Uint8Array.from({ length: width * height * 3 }, (_, i) => rgb[i % 3]!), width, height };
}

/** The pixels of a PNG and a way to ask for one. */
async function decode(png: Buffer) {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  assert.equal(info.channels, 3);
  const at = (x: number, y: number) => [
    ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
  ];
  return { data, width: info.width, height: info.height, at };
}

const RED = [200, 0, 0] as const;
const BLUE = [0, 0, 250] as const;
const WHITE = [255, 255, 255];

describe("encodePng", () => {
  it("keeps every pixel", async () => {
    const image = { data: Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => i * 5), width: 5, height: 3 };
    const decoded = await decode(await encodePng(image));
    assert.deepEqual([decoded.width, decoded.height], [5, 3]);
    assert.deepEqual(Uint8Array.from(decoded.data), image.data);
  });

  it("refuses data that do not fit the size", async () => {
    const image = { data: new Uint8Array(4), width: 2, height: 2 };
    await assert.rejects(encodePng(image), { code: "IMAGE_INVALID", message: /2 x 2: it has 4 bytes/ });
  });
});

describe("encodeGrid", () => {
  it("lays images out in rows and columns, with gaps, scaled to their cells", async () => {
    const rows = [
      [{ image: plain(8, 8, RED) }, { image: plain(16, 16, BLUE) }, undefined],
      [{ image: plain(4, 8, BLUE) }],
    ];
    const { width, height, at } = await decode(await encodeGrid(rows, { cellSize: 16, gap: 4 }));
    assert.deepEqual([width, height], [4 + 3 * 20, 4 + 2 * 20]);
    assert.deepEqual(at(4, 4), [...RED]);
    assert.deepEqual(at(19, 19), [...RED]);
    assert.deepEqual(at(20, 4), WHITE);
    assert.deepEqual(at(24, 4), [...BLUE]);
    assert.deepEqual(at(44, 4), WHITE);
    // The narrow image is centred: 8 of 16 pixels wide.
    assert.deepEqual([at(7, 30), at(8, 30), at(15, 30), at(16, 30)], [WHITE, [...BLUE], [...BLUE], WHITE]);
  });

  it("dims patches by their light, and marks a point", async () => {
    const light = { rows: 1, columns: 2, cells: [0, 1] };
    const cell = { image: plain(32, 32, [200, 200, 200]), light, point: { x: 0.75, y: 0.25 } };
    const { at } = await decode(await encodeGrid([[cell]], { cellSize: 32, gap: 0 }));
    assert.ok(
      at(8, 24).every((value) => value < 60),
      `dimmed ${at(8, 24).join()}`,
    );
    assert.deepEqual(at(24, 24), [200, 200, 200]);
    const rgb = [1, 3, 5].map((i) => parseInt(BOX_COLOURS.local.slice(i, i + 2), 16));
    assert.ok(
      at(24, 8).every((value, i) => Math.abs(value - rgb[i]!) < 30),
      `point ${at(24, 8).join()}`,
    );
  });

  it("draws boxes, overlaps and masks over an image", async () => {
    const cell = {
      image: plain(100, 100, RED),
      boxes: [
        { kind: "global", x: 0.1, y: 0.1, width: 0.5, height: 0.5 },
        { kind: "overlap", x: 0.7, y: 0, width: 0.3, height: 0.3 },
      ] as const,
      mask: { rows: 2, columns: 2, cells: [0, 0, 0, 1] },
    };
    const { at } = await decode(await encodeGrid([[cell]], { cellSize: 100, gap: 0 }));
    const blue = Buffer.from(BOX_COLOURS.global.slice(1), "hex");
    assert.ok(
      at(10, 40).every((v, c) => Math.abs(v - blue[c]!) < 60),
      `the box's edge: ${at(10, 40)}`,
    );
    assert.deepEqual(at(30, 30), [...RED]);
    assert.ok(at(85, 15)[1]! > 15, "the overlap is tinted");
    assert.deepEqual(at(65, 40), [...RED]);
    assert.ok(at(75, 75)[2]! > 100, "the masked patch is gray");
  });

  it("refuses a grid without cells, and an image that does not fit its size", async () => {
    await assert.rejects(encodeGrid([[], []]), { code: "IMAGE_INVALID" });
    const image = { data: new Uint8Array(1), width: 1, height: 1 };
    await assert.rejects(encodeGrid([[{ image }]]), { code: "IMAGE_INVALID" });
  });
});

describe("overlaySvg", () => {
  it("scales fractions to the size and tells global, local and overlap apart", () => {
    const box = { x: 0.25, y: 0.5, width: 0.5, height: 0.25 };
    const svg = (kind: "global" | "local" | "overlap") => overlaySvg({ boxes: [{ kind, ...box }] }, 200, 100);
    for (const kind of ["global", "local", "overlap"] as const) {
      assert.match(svg(kind), /<rect x="50" y="50" width="100" height="25" /);
      assert.ok(svg(kind).includes(BOX_COLOURS[kind]));
    }
    assert.ok(svg("local").includes("stroke-dasharray"));
    assert.ok(!svg("global").includes("stroke-dasharray"));
    assert.ok(!svg("overlap").includes("stroke="));
  });
});
