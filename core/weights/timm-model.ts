/**
 * A model in the form of timm (huggingface/pytorch-image-models): its weights, and the config.json that
 * `timm.create_model("local-dir:FOLDER")` and the Hugging Face hub read.
 */
import type { NamedTensor } from "../trainer/safetensors.ts";

/** What config.json says; timm takes the sizes from `model_args`, whatever the architecture's own are. */
export interface TimmConfig {
  readonly architecture: string;
  readonly num_classes: 0;
  readonly num_features: number;
  readonly global_pool: "token" | "avg";
  readonly model_args: Readonly<Record<string, unknown>>;
  readonly pretrained_cfg: Readonly<Record<string, unknown>>;
}

export interface TimmModel {
  readonly config: TimmConfig;
  readonly tensors: readonly NamedTensor[];
}

/** How the network wants its images. */
export interface TimmInput {
  /** Of each channel, of pixels in 0..1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** The crop's share of the resized shorter side. */
  readonly cropPct: number;
}

/** The part of `pretrained_cfg` that every backbone has. */
export function pretrainedConfig({ mean, std, cropPct }: TimmInput, channels: number, imageSize: number) {
  return {
    custom_load: false,
    input_size: [channels, imageSize, imageSize],
    interpolation: "bicubic",
    crop_pct: cropPct,
    crop_mode: "center",
    mean,
    std,
    num_classes: 0,
  };
}
