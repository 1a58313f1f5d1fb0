/** A backbone under the names and in the form of timm. */
import { errors } from "../errors.ts";
import type { NamedTensor } from "../trainer/safetensors.ts";
import { VisionTransformer, type VitConfig } from "../vit/vit.ts";
import { convNextToTimm, isConvNext } from "./convnext-to-timm.ts";
import { pretrainedConfig, type TimmConfig, type TimmInput, type TimmModel } from "./timm-model.ts";

/** timm's models by width; for any other width, the sizes make one out of the last. */
const ARCHITECTURES: Readonly<Record<number, string>> = {
  192: "vit_tiny_patch16_224",
  384: "vit_small_patch16_224",
  1024: "vit_large_patch16_224",
  768: "vit_base_patch16_224",
};

/**
 * @param weights one network's backbone, by the names of `VisionTransformer.parameters()` or of ConvNeXt's checkpoints
 * @param vit the transformer's sizes; the image size is that of the position embedding
 * @throws EXPORT_BACKBONE where the weights are neither those of such a transformer nor of a ConvNeXt
 */
export function toTimm(
  weights: ReadonlyMap<string, NamedTensor>,
  vit: Omit<VitConfig, "imageSize">,
  input: TimmInput,
): TimmModel {
  if (isConvNext(weights)) return convNextToTimm(weights, input);
  const sized = { ...vit, imageSize: imageSizeOf(weights, vit.patchSize) };
  requireTransformer(weights, sized);
  return { config: timmConfig(sized, input), tensors: timmTensors(weights, vit.registerTokens) };
}

/** Side of the images whose patches have a position each. */
function imageSizeOf(weights: ReadonlyMap<string, NamedTensor>, patchSize: number): number {
  const positions = weights.get("pos_embed");
  if (!positions) throw errors.exportBackbone(["pos_embed"], [...weights.keys()]);
  return patchSize * Math.round(Math.sqrt(positions.shape[1]! - 1));
}

function requireTransformer(weights: ReadonlyMap<string, NamedTensor>, vit: VitConfig): void {
  const parameters = new VisionTransformer(vit).parameters();
  const names = new Set(parameters.map(({ name }) => name));
  const differing = parameters.filter(({ name, shape }) => weights.get(name)?.shape.join() !== shape.join());
  const unexpected = [...weights.keys()].filter((name) => !names.has(name));
  if (differing.length > 0 || unexpected.length > 0) {
    throw errors.exportBackbone(
      differing.map(({ name }) => name),
      unexpected,
    );
  }
}

/**
 * timm gives registers positions like any other token, or none to all that stands in front of the patches
 * (`no_embed_class`, its form of DINOv2). Ours have none, and the class token has one: with registers it becomes a
 * part of the token.
 */
function timmTensors(weights: ReadonlyMap<string, NamedTensor>, registers: number): NamedTensor[] {
  if (registers === 0) return [...weights.values()];
  const positions = weights.get("pos_embed")!;
  const [, count, D] = positions.shape as [number, number, number];
  const folded: Record<string, NamedTensor> = {
    cls_token: {
      name: "cls_token",
      shape: [1, 1, D],
      values: weights.get("cls_token")!.values.map((value, i) => value + positions.values[i]!),
    },
    pos_embed: { name: "pos_embed", shape: [1, count - 1, D], values: positions.values.subarray(D) },
    register_tokens: { ...weights.get("register_tokens")!, name: "reg_token" },
  };
  return [...weights.values()].map((tensor) => folded[tensor.name] ?? tensor);
}

function timmConfig(vit: VitConfig, input: TimmInput): TimmConfig {
  const { embedDim, imageSize, channels, registerTokens, layerScale } = vit;
  return {
    architecture: ARCHITECTURES[embedDim] ?? ARCHITECTURES[768]!,
    num_classes: 0,
    num_features: embedDim,
    global_pool: "token",
    model_args: {
      img_size: imageSize,
      patch_size: vit.patchSize,
      in_chans: channels,
      embed_dim: embedDim,
      depth: vit.depth,
      num_heads: vit.numHeads,
      mlp_ratio: timmRatio(embedDim, vit.mlpRatio),
      qkv_bias: vit.qkvBias,
      ...(layerScale === undefined ? {} : { init_values: layerScale }),
      ...(registerTokens === 0 ? {} : { reg_tokens: registerTokens, no_embed_class: true }),
    },
    pretrained_cfg: {
      ...pretrainedConfig(input, channels, imageSize),
      ...{ fixed_input_size: true, pool_size: null, first_conv: "patch_embed.proj", classifier: "head" },
    },
  };
}

/** timm cuts the hidden width of an MLP off where we round it. */
function timmRatio(embedDim: number, mlpRatio: number): number {
  const hidden = Math.round(embedDim * mlpRatio);
  return Math.floor(embedDim * mlpRatio) === hidden ? mlpRatio : (hidden + 0.5) / embedDim;
}
