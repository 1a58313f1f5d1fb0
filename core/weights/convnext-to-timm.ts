/** ConvNeXt (arXiv 2201.03545) by the names of its official checkpoints, under those of timm. */
import { errors } from "../errors.ts";
import type { NamedTensor } from "../trainer/safetensors.ts";
import { pretrainedConfig, type TimmInput, type TimmModel } from "./timm-model.ts";

const STEM = "downsample_layers.0.0.weight";
/** timm builds no other number of them. */
const STAGES = 4;
/** ConvNeXt fits any size of whole strides; this is timm's own. */
const IMAGE_SIZE = 224;

/** From the official names to timm's, the first that fits; what fits none is not of a ConvNeXt. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^downsample_layers\.0\.([01])\.(weight|bias)$/, "stem.$1.$2"],
  [/^downsample_layers\.([1-3])\.([01])\.(weight|bias)$/, "stages.$1.downsample.$2.$3"],
  [/^stages\.([0-3])\.(\d+)\.(gamma|norm\.weight|norm\.bias)$/, "stages.$1.blocks.$2.$3"],
  [/^stages\.([0-3])\.(\d+)\.dwconv\.(weight|bias)$/, "stages.$1.blocks.$2.conv_dw.$3"],
  [/^stages\.([0-3])\.(\d+)\.pwconv([12])\.(weight|bias)$/, "stages.$1.blocks.$2.mlp.fc$3.$4"],
  [/^norm\.(weight|bias)$/, "head.norm.$1"],
];

export const isConvNext = (weights: ReadonlyMap<string, NamedTensor>): boolean => weights.has(STEM);

/** @throws EXPORT_BACKBONE where it has not four stages, or other weights */
export function convNextToTimm(weights: ReadonlyMap<string, NamedTensor>, input: TimmInput): TimmModel {
  const stages = Array.from({ length: STAGES }, (_, i) => i);
  // A stage's width is that of its blocks' layer scale.
  const first = stages.map((stage) => weights.get(`stages.${stage}.0.gamma`));
  const missing = stages.filter((stage) => !first[stage]).map((stage) => `stages.${stage}.0.gamma`);
  const unknown = [...weights.keys()].filter((name) => timmName(name) === undefined);
  if (missing.length > 0 || unknown.length > 0) throw errors.exportBackbone(missing, unknown);
  const dims = first.map((gamma) => gamma!.shape[0]!);
  const depths = stages.map((stage) => [...weights.keys()].filter((name) => isBlock(name, stage)).length);
  const channels = weights.get(STEM)!.shape[1]!;
  return {
    config: {
      architecture: "convnext_tiny",
      num_classes: 0,
      num_features: dims.at(-1)!,
      global_pool: "avg",
      model_args: { in_chans: channels, depths, dims },
      pretrained_cfg: {
        ...pretrainedConfig(input, channels, IMAGE_SIZE),
        ...{ fixed_input_size: false, pool_size: [IMAGE_SIZE / 32, IMAGE_SIZE / 32] },
        ...{ first_conv: "stem.0", classifier: "head.fc" },
      },
    },
    tensors: [...weights.values()].map((tensor) => ({ ...tensor, name: timmName(tensor.name)! })),
  };
}

const isBlock = (name: string, stage: number): boolean =>
  name.startsWith(`stages.${stage}.`) && name.endsWith(".gamma");

function timmName(name: string): string | undefined {
  const rule = NAMES.find(([official]) => official.test(name));
  return rule && name.replace(...rule);
}
