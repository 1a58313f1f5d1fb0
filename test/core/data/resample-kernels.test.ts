import assert from "node:assert/strict";
import type { Raster } from "../../../core/data/decode.ts";
import { ResampleKernels } from "../../../core/data/resample-kernels.ts";
import { Resampler } from "../../../core/data/resample.ts";

const MIB = 2 ** 20;

/** Grey, of that many bytes. */
function image(bytes: number): Raster {
  return { data: new Uint8Array(bytes).fill(7), width: 1024, height: bytes / 1024, channels: 1 };
}

describe("ResampleKernels", () => {
  it("keep their memory for images of like size, and not for ones that are far smaller", () => {
    const kernels = new ResampleKernels();
    const sizeFor = (bytes: number) => {
      const address = kernels.open({}, image(bytes));
      assert.deepEqual([...kernels.bytes(address + bytes - 2, 2)], [7, 7]);
      return kernels.size;
    };
    const large = sizeFor(72 * MIB);
    assert.ok(large >= 72 * MIB);
    assert.equal(sizeFor(20 * MIB), large);
    const small = sizeFor(16 * MIB);
    assert.ok(small >= 16 * MIB && small < 17 * MIB, `${small} bytes`);
    assert.equal(sizeFor(1024), small, "little memory is kept");
  });

  it("run in new memory as in old", () => {
    const small = image(64 * 1024);
    small.data.forEach((_, i, data) => (data[i] = i % 251));
    const crop = () => {
      const out = new Uint8Array(20 * 10);
      const region = { x: 100, y: 3, width: 500, height: 50 };
      new Resampler(small).resize({ region, width: 20, height: 10 }, out);
      return out;
    };
    const before = crop();
    const region = { x: 0, y: 0, width: 8, height: 8 };
    new Resampler(image(72 * MIB)).resize({ region, width: 1, height: 1 }, new Uint8Array(1));
    assert.deepEqual(crop(), before);
  });

  it("name the image for which there is no room, and take the next one", () => {
    const kernels = new ResampleKernels();
    kernels.open({}, image(2048));
    // More than addresses of 32 bits reach.
    assert.throws(() => kernels.take(2 ** 32), {
      code: "IMAGE_MEMORY",
      message: /1024 x 2 pixels needs 4\.30 GB/,
    });
    const user = {};
    assert.equal(kernels.open(user, image(1024)), 0);
    assert.equal(kernels.user, user);
    assert.equal(kernels.take(1), 1024);
  });
});
