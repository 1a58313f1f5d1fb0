/** The network against reference.py, and its contract as a backbone. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { ConvNext, convNextArchitectures, type ConvNextConfig } from "../../../plugins/convnext/convnext.ts";
import { assertClose, normal, useCpuBackend } from "../../core/math/numeric.ts";
import { coded } from "../../core/trainer/tiny.ts";

interface Golden {
  readonly patches: readonly number[];
  readonly image: readonly number[];
  /** Length, and products with three directions. */
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as Golden;

const small: ConvNextConfig = {
  channels: 2,
  depths: [1, 1, 2, 1],
  dims: [4, 6, 8, 10],
  dropPathRate: 0,
  layerScale: 1e-6,
};

/** sin(0.37 (i + 1)^2 + phase), as in reference.py. */
const waves = (count: number, phase: number) =>
  Float64Array.from({ length: count }, (_, i) => Math.sin(0.37 * (i + 1) * (i + 1) + phase));

const sizeOf = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

/** The reference's weights, numbered as the network declares them. */
function referenceWeights(network: ConvNext): Map<string, tf.Tensor> {
  return new Map(
    network.parameters().map(({ name, shape }, n) => {
      const wave = waves(sizeOf(shape), n);
      const value = (w: number) => {
        if (name.endsWith("gamma")) return 0.5 + 0.2 * w;
        if (name.endsWith("bias")) return 0.1 * w;
        if (shape.length === 1) return 1 + 0.2 * w;
        return (w * 1.4) / Math.sqrt(sizeOf(shape.slice(1)));
      };
      return [name, tf.tensor(Float32Array.from(wave, value), [...shape])];
    }),
  );
}

/** Random weights, with a layer scale that lets the blocks be seen. */
function randomWeights(network: ConvNext): Map<string, tf.Tensor> {
  return new Map(network.parameters().map(({ name, shape }) => [name, normal(name, [...shape], 0.5)]));
}

describe("ConvNext", () => {
  useCpuBackend();

  it("has the features and gradients of the reference, and takes the first of a block's two drop-path rows", () => {
    const network = new ConvNext(small);
    const weights = referenceWeights(network);
    assert.deepEqual([...weights.keys()], Object.keys(golden.gradients));
    const [B, size, depth] = [2, 64, 5];
    const images = tf.tensor4d(Float32Array.from(waves(B * size * size * 2, 0.5)), [B, size, size, 2]);
    const multipliers = waves(depth * B, 0.7).map((w) => 1 + 0.25 * w);
    const dropPath = tf.tensor2d(
      Float32Array.from({ length: 2 * depth * B }, (_, i) => {
        const [row, b] = [Math.floor(i / B), i % B];
        return row % 2 === 0 ? multipliers[(row / 2) * B + b]! : NaN;
      }),
      [2 * depth, B],
    );
    const features = (tensors: readonly tf.Tensor[]) => {
      const current = new Map([...weights.keys()].map((name, i) => [name, tensors[i]!]));
      const p = (name: string) => current.get(name)!;
      const stem = network.prepare(p, network.patchify(p, images));
      const [output] = network.blocks(p, [{ tokens: stem, dropPath, grid: network.stemGrid(size) }]);
      const { tokens } = output!;
      return { patches: network.norm(p, tokens), image: network.norm(p, tf.mean(tokens, 1) as tf.Tensor2D) };
    };
    const along = (x: tf.Tensor, phase: number) =>
      tf.sum(tf.mul(tf.reshape(x, [-1]), tf.tensor1d(Float32Array.from(waves(x.size, phase)))));
    const loss = (...tensors: tf.Tensor[]) => {
      const { patches, image } = features(tensors);
      return tf.add(along(patches, 0.2), along(image, 0.4)) as tf.Scalar;
    };
    const { patches, image } = features([...weights.values()]);
    assertClose(patches, tf.tensor([...golden.patches], [B, 4, 10]), 1e-5, "patches");
    assertClose(image, tf.tensor([...golden.image], [B, 10]), 1e-5, "image");

    const gradients = tf.grads(loss)([...weights.values()]);
    [...weights.keys()].forEach((name, i) => {
      const gradient = gradients[i]!;
      const got = [tf.norm(gradient), ...[1, 2, 3].map((phase) => along(gradient, phase))];
      const want = golden.gradients[name]!;
      got.forEach((value, k) => {
        const apart = Math.abs(value.dataSync()[0]! - want[k]!);
        assert.ok(apart <= 1e-4 * want[0]!, `gradient of ${name}, ${k}: off by ${apart}, of ${want[0]}`);
      });
    });
  });

  it("declares the official names and shapes, with their initial values", () => {
    const specs = new Map(new ConvNext({ ...small, channels: 3 }).parameters().map((s) => [s.name, s]));
    const std = { kind: "truncatedNormal", std: 0.02 };
    const shapeAndInit = (name: string) => [specs.get(name)?.shape, specs.get(name)?.init];
    assert.deepEqual(shapeAndInit("downsample_layers.0.0.weight"), [[4, 3, 4, 4], std]);
    assert.deepEqual(shapeAndInit("downsample_layers.0.1.weight"), [[4], { kind: "ones" }]);
    assert.deepEqual(shapeAndInit("downsample_layers.2.0.bias"), [[6], { kind: "zeros" }]);
    assert.deepEqual(shapeAndInit("downsample_layers.2.1.weight"), [[8, 6, 2, 2], std]);
    assert.deepEqual(shapeAndInit("stages.2.1.dwconv.weight"), [[8, 1, 7, 7], std]);
    assert.deepEqual(shapeAndInit("stages.2.1.dwconv.bias"), [[8], { kind: "zeros" }]);
    assert.deepEqual(shapeAndInit("stages.2.1.pwconv1.weight"), [[32, 8], std]);
    assert.deepEqual(shapeAndInit("stages.2.1.pwconv2.weight"), [[8, 32], std]);
    assert.deepEqual(shapeAndInit("stages.2.1.gamma"), [[8], { kind: "constant", value: 1e-6 }]);
    assert.deepEqual(shapeAndInit("norm.bias"), [[10], { kind: "zeros" }]);
  });

  it("has as many weights as timm 0.6.13's models of these names without their classifier", () => {
    const counts = {
      atto: 3_374_520,
      femto: 4_832_784,
      pico: 8_532_672,
      nano: 14_952_560,
      tiny: 27_820_128,
      small: 49_454_688,
      base: 87_566_464,
      large: 196_230_336,
      xlarge: 348_147_968,
    };
    for (const [name, sizes] of Object.entries(convNextArchitectures)) {
      const network = new ConvNext({ ...small, ...sizes, channels: 3 });
      const own = network.parameters().reduce((sum, { shape }) => sum + sizeOf(shape), 0);
      assert.equal(own, counts[name as keyof typeof counts], name);
    }
  });

  it("runs segments of several sizes, each as if alone, and keeps tokens as the blocks leave them", () => {
    const network = new ConvNext(small);
    const weights = randomWeights(network);
    const p = (name: string) => weights.get(name)!;
    const segments = [
      {
        tokens: normal<tf.Rank.R3>("global", [2, 16 * 16, 4]),
        grid: network.stemGrid(64),
        keepBlocks: [0, 1, 4],
      },
      { tokens: normal<tf.Rank.R3>("local", [3, 8 * 8, 4]), grid: network.stemGrid(32) },
    ];
    const [global, local] = network.blocks(p, segments);
    segments.forEach((segment, s) => {
      const [alone] = network.blocks(p, [segment]);
      assertClose([global, local][s]!.tokens, alone!.tokens, 0);
    });
    assert.deepEqual(local!.tokens.shape, [3, 1, 10]);
    assert.deepEqual(
      [...global!.blocks].map(([index, { shape }]) => [index, ...shape]),
      [
        [0, 2, 256, 4],
        [1, 2, 64, 6],
        [4, 2, 4, 10],
      ],
    );
    assertClose(global!.blocks.get(4)!, global!.tokens, 0);
  });

  it("tells its grids, and as many stages as sizes make", () => {
    const network = new ConvNext(small);
    assert.deepEqual(network.grid(64), { rows: 2, columns: 2, stride: 32 });
    assert.deepEqual(network.stemGrid(64), { rows: 16, columns: 16, stride: 4 });
    const shallow = new ConvNext({ ...small, depths: [1, 2], dims: [4, 6], dropPathRate: 0.2 });
    assert.deepEqual(shallow.grid(64), { rows: 8, columns: 8, stride: 8 });
    assert.deepEqual(shallow.dropPathRates, [0, 0.1, 0.2]);
    assert.deepEqual([shallow.stemDim, shallow.embedDim, shallow.depth], [4, 6, 3]);
  });

  it("refuses sizes, views and tokens that do not fit", () => {
    assert.throws(() => new ConvNext({ ...small, depths: [1, 1] }), /2 depths and 4 widths/);
    const network = new ConvNext(small);
    assert.throws(() => network.grid(48), /a view of 48 pixels is no multiple of 32/);
    assert.throws(() => network.stemGrid(48), /no multiple of 32/);
    const weights = randomWeights(network);
    const p = (name: string) => weights.get(name)!;
    const run = (shape: [number, number, number], more = {}) =>
      network.blocks(p, [{ tokens: tf.zeros(shape), grid: network.stemGrid(32), ...more }]);
    assert.throws(() => run([2, 64, 5]), /have not 4 features/);
    // A quarter of the patches would be a square too.
    for (const kept of [60, 16])
      assert.throws(() => run([2, kept, 4]), coded("TOKENS_DROPPED", `${kept} of a view's 8 x 8`));
    assert.throws(() => run([2, 64, 4], { dropPath: tf.ones([5, 2]) }), /dropPath must be \[10, 2\]/);
    assert.throws(() => run([2, 64, 4], { keepBlocks: [5] }), /no block 5 of 5/);
    assert.throws(() => network.patchify(p, tf.zeros([1, 64, 64, 3])), /no whole patches/);
  });
});
