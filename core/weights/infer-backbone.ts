/** The backbone that weights are of, by their shapes. */
import { errors } from "../errors.ts";
import { vitArchitectures } from "../vit/vit.ts";
import type { AboutWeights } from "./about.ts";
import type { StoredNetwork } from "./networks.ts";
import { positionForm } from "./positions.ts";

/** What shapes tell. */
export interface InferredBackbone {
  /** Of the images. */
  readonly channels: number;
  /** Of a config, with every size. */
  readonly backbone: BackboneSizes;
}

/** Sizes as a config's `backbone` has them. */
export interface BackboneSizes {
  readonly arch: "vit";
  readonly embedDim: number;
  readonly depth: number;
  readonly numHeads: number;
  readonly mlpRatio: number;
  readonly patchSize: number;
  readonly imageSize: number;
  readonly registerTokens: number;
  readonly layerScale?: number;
  readonly qkvBias: boolean;
}

/** Widths whose heads are not 64 wide, as published: ViT-H and those of CLIP and SigLIP. */
const HEADS: Readonly<Record<number, number>> = { 1152: 16, 1280: 16, 1408: 16, 1664: 16 };
const HEAD_DIM = 64;
/** Where the weights bring their own it is of no effect. */
const LAYER_SCALE = 1e-5;

/**
 * How many heads there are does not show in the weights: it is what lies beside them says, or else as many as
 * published transformers of that width have, mostly heads of 64.
 *
 * @param path of the file, for errors
 * @throws WEIGHTS_MISMATCH where they are of no vision transformer of relata's
 */
export function inferBackbone(
  path: string,
  network: StoredNetwork,
  { numHeads }: AboutWeights,
): InferredBackbone {
  const tensors = network.backbone();
  const shapeOf = (name: string) => tensors.get(name)?.shape ?? [];
  const [embedDim, channels, patchSize] = shapeOf("patch_embed.proj.weight");
  const [, rows] = shapeOf("pos_embed");
  const [hidden] = shapeOf("blocks.0.mlp.fc1.weight");
  const blocks = [...tensors.keys()].flatMap(
    (name) => /^blocks\.(\d+)\.norm1\.weight$/.exec(name)?.[1] ?? [],
  );
  const registers = network.find("backbone.register_tokens")?.shape[1] ?? 0;
  const form = rows === undefined ? undefined : positionForm(rows, registers);
  if (!embedDim || !channels || !patchSize || !hidden || !form || blocks.length === 0) {
    const wanted = [
      "patch_embed.proj.weight",
      "pos_embed",
      "blocks.0.norm1.weight",
      "blocks.0.mlp.fc1.weight",
    ];
    const missing = wanted.filter((name) => !tensors.has(name));
    const problem =
      missing.length > 0
        ? `there is no ${missing.join(", no ")}`
        : `${rows} positions are of no square grid of patches`;
    throw errors.weightsMismatch(path, problem, "name the weights of a plain ViT with learned positions");
  }
  const heads = numHeads ?? publishedHeads(network);
  if (heads === undefined) {
    const problem = `how many heads it has does not show, and its width of ${embedDim} is no multiple of ${HEAD_DIM}`;
    throw errors.weightsMismatch(path, problem, "say it as backbone.numHeads");
  }
  return {
    channels,
    backbone: {
      arch: "vit",
      embedDim,
      depth: blocks.length,
      numHeads: heads,
      mlpRatio: hidden / embedDim,
      patchSize,
      imageSize: form.side * patchSize,
      registerTokens: registers,
      ...(tensors.has("blocks.0.ls1.gamma") ? { layerScale: LAYER_SCALE } : {}),
      qkvBias: tensors.has("blocks.0.attn.qkv.bias"),
    },
  };
}

/** As many heads as published transformers of its width have; undefined where there is none of that width. */
export function publishedHeads(network: StoredNetwork): number | undefined {
  const [embedDim = 0] = network.backbone().get("patch_embed.proj.weight")?.shape ?? [];
  const heads = HEADS[embedDim] ?? embedDim / HEAD_DIM;
  return Number.isInteger(heads) && heads > 0 ? heads : undefined;
}

/** What a config has to say for a backbone of these sizes: "backbone.arch=vit-small backbone.patchSize=8". */
export function settingsOf(sizes: BackboneSizes): string {
  const { embedDim, depth, numHeads, mlpRatio, patchSize, registerTokens, layerScale, qkvBias } = sizes;
  const arch = Object.entries(vitArchitectures).find(
    ([, known]) => known.embedDim === embedDim && known.depth === depth && known.numHeads === numHeads,
  )?.[0];
  const settings = {
    ...(arch === undefined ? { arch: "vit", embedDim, depth, numHeads } : { arch }),
    patchSize,
    ...(mlpRatio === 4 ? {} : { mlpRatio }),
    ...(registerTokens === 0 ? {} : { registerTokens }),
    ...(layerScale === undefined ? {} : { layerScale }),
    ...(qkvBias ? {} : { qkvBias }),
  };
  return Object.entries(settings)
    .map(([key, value]) => `backbone.${key}=${value}`)
    .join(" ");
}
