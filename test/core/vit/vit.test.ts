import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { dropPathRates } from "../../../core/vit/transformer-blocks.ts";
import { VisionTransformer, vitArchitectures, type VitConfig } from "../../../core/vit/vit.ts";
import { readFixtureJson } from "../../support/safetensors-fixture.ts";
import { assertClose, normal, useCpuBackend, withoutReading } from "../math/numeric.ts";

const tiny: VitConfig = {
  imageSize: 8,
  patchSize: 2,
  channels: 3,
  embedDim: 8,
  depth: 3,
  numHeads: 2,
  mlpRatio: 2,
  qkvBias: true,
  dropPathRate: 0,
  registerTokens: 0,
};

/** Random weights for every declared parameter. */
function weightsOf(vit: VisionTransformer): Map<string, tf.Tensor> {
  return new Map(vit.parameters().map(({ name, shape }) => [name, normal(name, [...shape], 0.5)]));
}

type Segments = Parameters<VisionTransformer["blocks"]>[1];

/** Outputs of `blocks`, and gradients to all tokens and weights of their sum, weighted at random. */
function run(vit: VisionTransformer, weights: Map<string, tf.Tensor>, segments: Segments, firstRow = false) {
  const names = [...weights.keys()].filter((name) => name.startsWith("blocks."));
  const outputsOf = (tensors: tf.Tensor[]) => {
    const current = new Map(names.map((name, i) => [name, tensors[segments.length + i]!]));
    const replaced = segments.map((segment, s) => ({ ...segment, tokens: tensors[s] as tf.Tensor3D }));
    return vit.blocks((name) => current.get(name)!, replaced).map(({ tokens }) => {
      const [B, , D] = tokens.shape;
      return firstRow ? tf.slice(tokens, [0, 0, 0], [B, 1, D]) : tokens;
    }); // prettier-ignore
  };
  const inputs = [...segments.map(({ tokens }) => tokens), ...names.map((name) => weights.get(name)!)];
  const loss = (...tensors: tf.Tensor[]) =>
    tf.addN(outputsOf(tensors).map((y) => tf.sum(tf.mul(y, normal(`dy ${y.shape}`, y.shape)))));
  return { outputs: outputsOf(inputs), gradients: tf.grads(loss)(inputs) };
}

describe("core/vit VisionTransformer", () => {
  useCpuBackend();

  it("declares weights with their initialisation", () => {
    const specs = new Map(new VisionTransformer(tiny).parameters().map((spec) => [spec.name, spec]));
    const bound = 1 / Math.sqrt(12);
    assert.deepEqual(specs.get("cls_token"), { name: "cls_token", shape: [1, 1, 8], init: { kind: "truncatedNormal", std: 0.02 } }); // prettier-ignore
    assert.deepEqual(specs.get("pos_embed")?.shape, [1, 17, 8]);
    assert.deepEqual(specs.get("patch_embed.proj.weight")?.init, { kind: "uniform", bound });
    assert.deepEqual(specs.get("patch_embed.proj.bias")?.init, { kind: "uniform", bound });
    assert.deepEqual(specs.get("blocks.2.attn.qkv.weight")?.init, { kind: "truncatedNormal", std: 0.02 });
    assert.deepEqual(specs.get("blocks.2.attn.qkv.bias")?.init, { kind: "zeros" });
    assert.deepEqual(specs.get("blocks.0.norm1.weight")?.init, { kind: "ones" });
    assert.deepEqual(specs.get("blocks.0.mlp.fc1.weight")?.shape, [16, 8]);
    assert.ok(!specs.has("blocks.0.ls1.gamma") && !specs.has("register_tokens"));
  });

  it("has the parameter counts of the standard architectures", () => {
    const millions = { "vit-tiny": 5.5, "vit-small": 21.7, "vit-base": 85.8, "vit-large": 303.3 };
    for (const [name, expected] of Object.entries(millions)) {
      const architecture = vitArchitectures[name as keyof typeof vitArchitectures];
      const vit = new VisionTransformer({ ...tiny, imageSize: 224, patchSize: 16, ...architecture });
      const count = vit.parameters().reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      assert.equal(Math.round(count / 1e5) / 10, expected, name);
    }
  });

  it("gives blocks the official stochastic-depth rates", () => {
    const { drop_path_rates: golden } = readFixtureJson<{
      schedules: { drop_path_rates: Record<string, number[]> };
    }>("parity/golden.json").schedules;
    for (const [depth, rate] of [
      [12, 0.1],
      [2, 0.1],
      [4, 0.2],
    ] as const) {
      // prettier-ignore
      dropPathRates(depth, rate).forEach((r, i) => assert.ok(Math.abs(r - golden[`depth${depth}_rate${rate}`]![i]!) < 1e-8)); // prettier-ignore
    }
    assert.deepEqual(dropPathRates(1, 0.1), [0]);
  });

  it("projects patches as a convolution with that stride, of oblong images too", () => {
    const vit = new VisionTransformer(tiny);
    const weights = weightsOf(vit);
    const images = normal<tf.Rank.R4>("images", [2, 4, 6, 3]);
    const kernel = tf.transpose(weights.get("patch_embed.proj.weight")!, [2, 3, 1, 0]) as tf.Tensor4D;
    const expected = tf.add(tf.conv2d(images, kernel, 2, "valid"), weights.get("patch_embed.proj.bias")!);
    assertClose(
      vit.patchify((name) => weights.get(name)!, images),
      tf.reshape(expected, [2, 6, 8]),
      1e-6,
    );
  });

  it("puts class token and registers in front; registers have no position", () => {
    const vit = new VisionTransformer({ ...tiny, registerTokens: 2 });
    const weights = weightsOf(vit);
    const patches = normal<tf.Rank.R3>("patches", [3, 16, 8]);
    const tokens = vit.prepare((name) => weights.get(name)!, patches, vit.grid(8));
    const part = (x: tf.Tensor, from: number, count: number) => tf.slice(x, [0, from, 0], [-1, count, -1]);
    const [pos, cls, registers] = ["pos_embed", "cls_token", "register_tokens"].map((name) =>
      weights.get(name)!,
    );
    for (const sample of [0, 2]) {
      const mine = tf.slice(tokens, [sample, 0, 0], [1, -1, -1]);
      assert.deepEqual(mine.shape, [1, 19, 8]);
      assertClose(part(mine, 0, 1), tf.add(cls!, part(pos!, 0, 1)), 1e-6, "class token");
      assertClose(part(mine, 1, 2), registers!, 0, "registers");
      const placed = tf.add(tf.slice(patches, [sample, 0, 0], [1, -1, -1]), part(pos!, 1, 16));
      assertClose(part(mine, 3, 16), placed, 1e-6, "patches");
    }
  });

  it("gives packed segments what each gives alone, gradients included", () => {
    const vit = new VisionTransformer({ ...tiny, layerScale: 0.1 });
    const weights = weightsOf(vit);
    const segments = [
      {
        tokens: normal<tf.Rank.R3>("global", [2, 5, 8]),
        dropPath: normal<tf.Rank.R2>("keep", [6, 2]),
        clsOnly: true,
      },
      { tokens: normal<tf.Rank.R3>("local", [3, 3, 8]) },
    ];
    const packed = run(vit, weights, segments);
    const alone = segments.map((segment) => run(vit, weights, [segment]));
    packed.outputs.forEach((y, s) => assertClose(y, alone[s]!.outputs[0]!, 1e-5, `output ${s}`));
    alone.forEach(({ gradients }, s) =>
      assertClose(packed.gradients[s]!, gradients[0]!, 1e-5, `tokens ${s}`),
    );
    packed.gradients.slice(2).forEach((gradient, i) => {
      const [a, b] = alone.map(({ gradients }) => gradients[1 + i]!);
      assertClose(gradient, tf.add(a!, b!), 1e-4, `weight ${i}`);
    });
  });

  it("clsOnly gives the first row of the full output, gradients included", () => {
    const vit = new VisionTransformer(tiny);
    const weights = weightsOf(vit);
    const segments = [
      { tokens: normal<tf.Rank.R3>("global", [2, 5, 8]) },
      { tokens: normal<tf.Rank.R3>("local", [3, 3, 8]) },
    ];
    const full = run(vit, weights, segments, true);
    const cls = run(vit, weights, segments.map((segment) => ({ ...segment, clsOnly: true }))); // prettier-ignore
    full.outputs.forEach((y, s) => assertClose(cls.outputs[s]!, y, 1e-5, `output ${s}`));
    full.gradients.forEach((g, i) => assertClose(cls.gradients[i]!, g, 1e-4, `gradient ${i}`));
    const kept = vit.blocks(
      (name) => weights.get(name)!,
      [{ ...segments[0]!, clsOnly: true, keepBlocks: [2] }],
    );
    assert.deepEqual(kept[0]!.tokens.shape, [2, 1, 8]);
    assert.deepEqual(kept[0]!.blocks.get(2)!.shape, [2, 5, 8]);
    assertClose(kept[0]!.tokens, full.outputs[0]!, 1e-5);
  });

  it("has the same outputs and gradients where blocks are computed again", () => {
    const kept = new VisionTransformer({ ...tiny, layerScale: 0.1 });
    const weights = weightsOf(kept);
    const segments = [
      { tokens: normal<tf.Rank.R3>("global", [2, 5, 8]), dropPath: tf.mul(normal("keep", [6, 2]), 1) },
      { tokens: normal<tf.Rank.R3>("local", [3, 3, 8]), clsOnly: true },
    ] as Segments;
    const again = new VisionTransformer({ ...tiny, layerScale: 0.1, recompute: true });
    const [want, got] = [run(kept, weights, segments), run(again, weights, segments)];
    want.outputs.forEach((y, s) => assertClose(got.outputs[s]!, y, 0, `output ${s}`));
    want.gradients.forEach((g, i) => assertClose(got.gradients[i]!, g, 1e-6, `gradient ${i}`));
  });

  it("multiplies each branch by its keep multiplier and its layer scale", () => {
    const vit = new VisionTransformer({ ...tiny, layerScale: 0.1 });
    assert.deepEqual(vit.parameters().find(({ name }) => name === "blocks.1.ls2.gamma")?.init, { kind: "constant", value: 0.1 }); // prettier-ignore
    const weights = weightsOf(vit);
    const tokens = normal<tf.Rank.R3>("tokens", [2, 5, 8]);
    const output = (dropPath: tf.Tensor2D, changed: Record<string, tf.Tensor> = {}) =>
      vit.blocks((name) => changed[name] ?? weights.get(name)!, [{ tokens, dropPath }])[0]!.tokens;
    const plain = vit.blocks((name) => weights.get(name)!, [{ tokens }])[0]!.tokens;
    assertClose(output(tf.ones([6, 2])), plain, 1e-6, "all kept");
    assertClose(output(tf.zeros([6, 2])), tokens, 0, "all dropped");
    // Dropping branch 3 (the MLP of block 1) of sample 1 only is setting its layer scale to 0 there.
    const dropPath = tf.sub(
      1,
      tf.mul(tf.oneHot(tf.tensor1d([9, 9, 9, 1, 9, 9], "int32"), 2), 1),
    ) as tf.Tensor2D;
    const sample = (x: tf.Tensor, i: number) => tf.slice(x, [i, 0, 0], [1, -1, -1]);
    const without = output(tf.ones([6, 2]), { "blocks.1.ls2.gamma": tf.zeros([8]) });
    assertClose(sample(output(dropPath), 0), sample(plain, 0), 1e-6, "kept sample");
    assertClose(sample(output(dropPath), 1), sample(without, 1), 1e-6, "dropped sample");
  });

  it("tells the class token's attention to the patches in the last block", () => {
    const vit = new VisionTransformer({ ...tiny, registerTokens: 2 });
    const weights = weightsOf(vit);
    const values = (name: string) => [...weights.get(`blocks.2.${name}`)!.dataSync()];
    const [B, T, D, heads] = [2, 7, 8, 2];
    const tokens = normal<tf.Rank.R3>("attended", [B, T, D]);
    const flat = tokens.dataSync();
    const [gain, shift, qkv, bias] = ["norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias"].map(
      values,
    );
    /** LayerNorm(token) W^T + b of one output feature. */
    const project = (b: number, t: number, feature: number) => {
      const x = [...flat.slice((b * T + t) * D, (b * T + t + 1) * D)];
      const mean = x.reduce((sum, v) => sum + v, 0) / D;
      const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / D;
      const normed = x.map((v, d) => ((v - mean) / Math.sqrt(variance + 1e-6)) * gain![d]! + shift![d]!);
      return normed.reduce((sum, v, d) => sum + v * qkv![feature * D + d]!, bias![feature]!);
    };
    const d = D / heads;
    const expected: number[] = [];
    for (let b = 0; b < B; b++) {
      for (let head = 0; head < heads; head++) {
        const scores = Array.from({ length: T }, (_, t) => {
          let dot = 0;
          for (let i = head * d; i < (head + 1) * d; i++) dot += project(b, 0, i) * project(b, t, D + i);
          return Math.exp(dot / Math.sqrt(d));
        });
        const sum = scores.reduce((a, s) => a + s, 0);
        expected.push(...scores.slice(3).map((s) => s / sum)); // after the class token and two registers
      }
    }
    const attention = vit.clsAttention((name) => weights.get(name)!, tokens);
    assertClose(attention, { values: Float32Array.from(expected), shape: [B, heads, 4] }, 1e-5);
  });

  it("works without a qkv bias", () => {
    const vit = new VisionTransformer({ ...tiny, qkvBias: false });
    assert.ok(!vit.parameters().some(({ name }) => name.endsWith("qkv.bias")));
    const weights = weightsOf(vit);
    const tokens = normal<tf.Rank.R3>("tokens", [2, 5, 8]);
    const biased = new VisionTransformer(tiny);
    const zeroBias = vit.blocks((name) => weights.get(name)!, [{ tokens }])[0]!.tokens;
    const expected = biased.blocks((name) => weights.get(name) ?? tf.zeros([24]), [{ tokens }])[0]!.tokens;
    assertClose(zeroBias, expected, 1e-6);
  });

  it("reads no value and leaves no tensor", () => {
    const vit = new VisionTransformer({ ...tiny, registerTokens: 1, layerScale: 1 });
    const weights = weightsOf(vit);
    const images = normal<tf.Rank.R4>("images", [2, 4, 4, 3]);
    const names = [...weights.keys()];
    const before = tf.memory().numTensors;
    const gradients = withoutReading(() =>
      tf.grads((...tensors: tf.Tensor[]) => {
        const p = (name: string) => tensors[names.indexOf(name)]!;
        const tokens = vit.prepare(p, vit.patchify(p, images), vit.grid(4));
        const dropPath = tf.ones([6, 2]) as tf.Tensor2D;
        const [output] = vit.blocks(p, [{ tokens, dropPath, keepBlocks: [1] }]);
        return tf.add(tf.sum(vit.norm(p, output!.tokens)), tf.sum(output!.blocks.get(1)!));
      })([...weights.values()]),
    );
    assert.equal(gradients.length, names.length);
    assert.equal(tf.memory().numTensors - before, names.length);
  });

  it("refuses impossible sizes", () => {
    assert.throws(() => new VisionTransformer({ ...tiny, numHeads: 3 }), /3 heads do not divide 8/);
    assert.throws(
      () => new VisionTransformer({ ...tiny, imageSize: 9 }),
      /9 pixels is no multiple of patches of 2/,
    );
    const vit = new VisionTransformer(tiny);
    const weights = weightsOf(vit);
    const p = (name: string) => weights.get(name)!;
    const tokens = normal<tf.Rank.R3>("tokens", [2, 5, 8]);
    assert.throws(() => vit.patchify(p, tf.zeros([1, 8, 8, 4])), /4 channels, the model 3/);
    assert.throws(
      () => vit.prepare(p, tf.zeros([1, 15, 8]), vit.grid(8)),
      /15 patch tokens are no 4 x 4 grid/,
    );
    assert.throws(() => vit.blocks(p, [{ tokens: tf.zeros([2, 5, 7]) }]), /have not 8 features/);
    assert.throws(() => vit.blocks(p, [{ tokens, dropPath: tf.ones([3, 2]) }]), /dropPath must be \[6, 2\]/);
    assert.throws(() => vit.blocks(p, [{ tokens, keepBlocks: [3] }]), /no block 3 of 3/);
  });
});
