import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Backbone } from "../../../core/backbone.ts";
import { Random } from "../../../core/random.ts";
import type { NamedTensor } from "../../../core/trainer/safetensors.ts";
import { VisionTransformer, type VitConfig } from "../../../core/vit/vit.ts";
import { toTimm } from "../../../core/weights/to-timm.ts";
import { ConvNext } from "../../../plugins/convnext/convnext.ts";
import { coded } from "../trainer/tiny.ts";

const golden = JSON.parse(readFileSync(new URL("to-timm.golden.json", import.meta.url), "utf8")) as Record<
  "plain" | "registers" | "convnext",
  Record<string, number[]>
>;

const plain: VitConfig = {
  imageSize: 32,
  patchSize: 8,
  channels: 3,
  embedDim: 192,
  depth: 2,
  numHeads: 3,
  mlpRatio: 4,
  qkvBias: true,
  dropPathRate: 0.1,
  registerTokens: 0,
};
const registers: VitConfig = {
  ...plain,
  channels: 1,
  embedDim: 24,
  numHeads: 2,
  mlpRatio: 2.53,
  qkvBias: false,
  layerScale: 0.1,
  registerTokens: 2,
};
const input = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2], cropPct: 0.875 };

const weightsOf = (vit: VitConfig) => weightsFor(new VisionTransformer(vit));

function weightsFor(backbone: Pick<Backbone, "parameters">): Map<string, NamedTensor> {
  const tensors = backbone.parameters().map(({ name, shape }): NamedTensor => {
    const random = new Random(1, name);
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).map(() => random.normal());
    return { name, shape, values };
  });
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

const shapes = (tensors: readonly NamedTensor[]) =>
  Object.fromEntries(tensors.map(({ name, shape }) => [name, [...shape]]));

describe("toTimm", () => {
  it("gives a plain transformer timm's names and shapes, and its own values", () => {
    const weights = weightsOf(plain);
    const { config, tensors } = toTimm(weights, plain, input);
    assert.deepEqual(shapes(tensors), golden.plain);
    for (const { name, values } of tensors) assert.deepEqual(values, weights.get(name)!.values, name);
    assert.deepEqual(config, {
      architecture: "vit_tiny_patch16_224",
      num_classes: 0,
      num_features: 192,
      global_pool: "token",
      model_args: {
        img_size: 32,
        patch_size: 8,
        in_chans: 3,
        embed_dim: 192,
        depth: 2,
        num_heads: 3,
        mlp_ratio: 4,
        qkv_bias: true,
      },
      pretrained_cfg: {
        custom_load: false,
        input_size: [3, 32, 32],
        fixed_input_size: true,
        interpolation: "bicubic",
        crop_pct: 0.875,
        crop_mode: "center",
        mean: input.mean,
        std: input.std,
        num_classes: 0,
        pool_size: null,
        first_conv: "patch_embed.proj",
        classifier: "head",
      },
    });
  });

  it("puts the class token's position into the token where there are registers", () => {
    const weights = weightsOf(registers);
    const { config, tensors } = toTimm(weights, registers, input);
    assert.deepEqual(shapes(tensors), golden.registers);
    const { model_args: sizes } = config;
    assert.equal(config.architecture, "vit_base_patch16_224");
    assert.deepEqual(
      [
        sizes["reg_tokens"],
        sizes["no_embed_class"],
        sizes["qkv_bias"],
        sizes["init_values"],
        sizes["in_chans"],
      ],
      [2, true, false, 0.1, 1],
    );
    // Python's int() cuts off: the hidden width has to come out the same.
    assert.equal(
      Math.trunc(24 * (sizes["mlp_ratio"] as number)),
      golden.registers["blocks.0.mlp.fc1.bias"]![0],
    );

    const values = (name: string) => tensors.find((tensor) => tensor.name === name)!.values;
    const own = (name: string) => weights.get(name)!.values;
    const positions = own("pos_embed");
    assert.deepEqual(
      values("cls_token"),
      own("cls_token").map((value, i) => value + positions[i]!),
    );
    assert.deepEqual(values("pos_embed"), positions.slice(24));
    assert.deepEqual(values("reg_token"), own("register_tokens"));
    assert.deepEqual(values("blocks.1.ls2.gamma"), own("blocks.1.ls2.gamma"));
  });

  it("takes the image size from the position embedding", () => {
    const { config } = toTimm(weightsOf({ ...plain, imageSize: 48 }), plain, input);
    assert.equal(config.model_args["img_size"], 48);
    assert.deepEqual(config.pretrained_cfg["input_size"], [3, 48, 48]);
  });

  const convNext = (depths: number[], dims: number[]) =>
    weightsFor(new ConvNext({ depths, dims, channels: 3, dropPathRate: 0, layerScale: 1 }));

  it("gives a ConvNeXt timm's names, shapes and sizes", () => {
    const sizes = { depths: [1, 2, 1, 1], dims: [4, 8, 8, 12] };
    const weights = convNext(sizes.depths, sizes.dims);
    const { config, tensors } = toTimm(weights, plain, input);
    assert.deepEqual(shapes(tensors), golden.convnext);
    assert.deepEqual(config.model_args, { in_chans: 3, ...sizes });
    assert.deepEqual([config.architecture, config.num_features], ["convnext_tiny", 12]);
    const values = (name: string) => tensors.find((tensor) => tensor.name === name)!.values;
    const [from, to] = ["stages.1.1.pwconv2.bias", "stages.1.blocks.1.mlp.fc2.bias"];
    assert.deepEqual(values(to), weights.get(from)!.values);
  });

  it("refuses what is no such transformer, and says by which weights", () => {
    const refuses = (weights: Map<string, NamedTensor>, ...words: string[]) =>
      assert.throws(() => toTimm(weights, plain, input), coded("EXPORT_BACKBONE", ...words));
    refuses(new Map([["stem.weight", weightsOf(plain).get("norm.weight")!]]), "pos_embed", "stem.weight");
    refuses(weightsOf({ ...plain, depth: 3 }), "not of that transformer: blocks.2.norm1.weight");
    refuses(weightsOf({ ...plain, depth: 1 }), "missing or of another shape: blocks.1.norm1.weight");
    refuses(weightsOf({ ...plain, mlpRatio: 2 }), "blocks.0.mlp.fc1.weight");
    refuses(convNext([1, 1], [4, 8]), "stages.2.0.gamma");
    refuses(convNext([1, 1, 1, 1, 1], [4, 4, 4, 4, 4]), "downsample_layers.4");
  });
});
