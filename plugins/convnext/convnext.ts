/**
 * ConvNeXt (Liu et al., arXiv 2201.03545): a residual network of depthwise convolutions with the proportions of a
 * transformer that merges its patches.
 *
 * It owns no weights. It declares them by the names of the official checkpoints, and reads them through the `Parameters`
 * of the network at hand. In shape comments: B samples, H x W positions of a stage, C its width; N0 = H W and D0 = C of
 * the first stage, N and D of the last.
 */
import {
  dropPathRates,
  errors,
  gelu,
  layerNorm,
  linear,
  linearParameters,
  normParameters,
  patchProjection,
  tf,
  type Backbone,
  type BackboneSegment,
  type BackboneSegmentOutput,
  type Parameters,
  type ParameterSpec,
  type Tensor,
  type Tensor3D,
  type Tensor4D,
  type TokenGrid,
} from "../../core/plugin.ts";

export interface ConvNextConfig {
  readonly channels: number;
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  /** Width of each stage. */
  readonly dims: readonly number[];
  /** Stochastic-depth rate of the last block; it rises linearly from 0. */
  readonly dropPathRate: number;
  /** Initial value of the layer scale. */
  readonly layerScale: number;
}

/** Tiny and above are the paper's; the smaller ones go by these names in timm and in ConvNeXt V2 (arXiv 2301.00808). */
export const convNextArchitectures = {
  atto: { depths: [2, 2, 6, 2], dims: [40, 80, 160, 320] },
  femto: { depths: [2, 2, 6, 2], dims: [48, 96, 192, 384] },
  pico: { depths: [2, 2, 6, 2], dims: [64, 128, 256, 512] },
  nano: { depths: [2, 2, 8, 2], dims: [80, 160, 320, 640] },
  tiny: { depths: [3, 3, 9, 3], dims: [96, 192, 384, 768] },
  small: { depths: [3, 3, 27, 3], dims: [96, 192, 384, 768] },
  base: { depths: [3, 3, 27, 3], dims: [128, 256, 512, 1024] },
  large: { depths: [3, 3, 27, 3], dims: [192, 384, 768, 1536] },
  xlarge: { depths: [3, 3, 27, 3], dims: [256, 512, 1024, 2048] },
} as const;

/** Pixels along the side of a stem patch. */
const STEM = 4;
/** Positions of a stage along the side of one of the next. */
const MERGED = 2;
const KERNEL = 7;

export class ConvNext implements Backbone {
  readonly config: ConvNextConfig;
  readonly embedDim: number;
  readonly stemDim: number;
  readonly depth: number;
  /** Nothing attends: relations of heads have one. */
  readonly numHeads = 1;
  readonly hasClsToken = false;
  readonly registerTokens = 0;
  readonly dropPathRates: readonly number[];
  /** Pixels along the side of what the last stage sees as one position. */
  private readonly stride: number;

  /** Throws Error if there are not as many depths as dims, or none. */
  constructor(config: ConvNextConfig) {
    const { depths, dims } = config;
    check(
      depths.length === dims.length && dims.length > 0,
      `${depths.length} depths and ${dims.length} widths`,
    );
    this.config = config;
    this.embedDim = dims.at(-1)!;
    this.stemDim = dims[0]!;
    this.depth = depths.reduce((sum, depth) => sum + depth, 0);
    this.dropPathRates = dropPathRates(this.depth, config.dropPathRate);
    this.stride = STEM * MERGED ** (dims.length - 1);
  }

  parameters(): readonly ParameterSpec[] {
    const { channels, depths, dims, layerScale } = this.config;
    const merging = dims
      .slice(1)
      .flatMap((C, i) => [
        ...normParameters(`downsample_layers.${i + 1}.0`, dims[i]!),
        ...linearParameters(`downsample_layers.${i + 1}.1`, [C, dims[i]!, MERGED, MERGED]),
      ]);
    const block = (name: string, C: number): ParameterSpec[] => [
      { name: `${name}.gamma`, shape: [C], init: { kind: "constant", value: layerScale } },
      ...linearParameters(`${name}.dwconv`, [C, 1, KERNEL, KERNEL]),
      ...normParameters(`${name}.norm`, C),
      ...linearParameters(`${name}.pwconv1`, [4 * C, C]),
      ...linearParameters(`${name}.pwconv2`, [C, 4 * C]),
    ];
    const stages = depths.flatMap((depth, s) =>
      Array.from({ length: depth }, (_, i) => block(`stages.${s}.${i}`, dims[s]!)).flat(),
    );
    return [
      ...linearParameters("downsample_layers.0.0", [this.stemDim, channels, STEM, STEM]),
      ...normParameters("downsample_layers.0.1", this.stemDim),
      ...merging,
      ...stages,
      ...normParameters("norm", this.embedDim),
    ];
  }

  /** The stem is layer 0; what merges positions belongs to the block after it. */
  layerOf(parameter: string): number {
    const [, part, stage, block] = /^(stages|downsample_layers)\.(\d+)\.(\d+)/.exec(parameter) ?? [];
    if (part === undefined) return this.depth + 1;
    if (part === "downsample_layers" && stage === "0") return 0;
    const before = this.config.depths.slice(0, Number(stage)).reduce((sum, depth) => sum + depth, 0);
    return before + (part === "stages" ? Number(block) : 0) + 1;
  }

  /** The positions of the last stage. Throws Error if the view is not a whole number of them. */
  grid(size: number): TokenGrid {
    const { stride } = this;
    const side = size / stride;
    check(Number.isInteger(side) && side > 0, `a view of ${size} pixels is no multiple of ${stride}`);
    return { rows: side, columns: side, stride };
  }

  /** The positions of the first stage. */
  stemGrid(size: number): TokenGrid {
    const side = (this.grid(size).rows * this.stride) / STEM;
    return { rows: side, columns: side, stride: STEM };
  }

  /**
   * The stem: a convolution of 4 x 4 pixels with stride 4, and its norm. A mask token stands behind both: a row of zeros
   * is the mean there, and in front of a norm its gradient would be of the size 1 / sqrt(epsilon).
   *
   * @param images [B, S, S, channels], normalised
   * @returns [B, N0, D0], row-major
   */
  patchify(p: Parameters, images: Tensor4D): Tensor3D {
    const stem = "downsample_layers.0.0";
    const patches = patchProjection(images, p(`${stem}.weight`), p(`${stem}.bias`));
    return normed(p, "downsample_layers.0.1", patches);
  }

  /** Convolutions see where a patch lies: no positions, and no token in front. */
  prepare(_: Parameters, patchTokens: Tensor3D): Tensor3D {
    return patchTokens;
  }

  /**
   * All stages, of one segment after the other: they differ in height and width. Throws TOKENS_DROPPED for a segment
   * without all of its patches.
   */
  blocks(p: Parameters, segments: readonly BackboneSegment[]): readonly BackboneSegmentOutput[] {
    return segments.map((segment) => this.run(p, segment));
  }

  /** The final norm, of any tokens [..., D]. */
  norm<T extends Tensor>(p: Parameters, tokens: T): T {
    return normed(p, "norm", tokens);
  }

  private run(p: Parameters, segment: BackboneSegment): BackboneSegmentOutput {
    const { tokens, grid, dropPath, keepBlocks = [] } = segment;
    this.checkSegment(segment);
    const [B, , D0] = tokens.shape;
    const kept = new Map<number, Tensor3D>();
    let x: Tensor4D = tf.reshape(tokens, [B, grid.rows, grid.columns, D0]);
    let index = 0;
    this.config.depths.forEach((depth, s) => {
      if (s > 0) x = merge(p, `downsample_layers.${s}`, x);
      for (let i = 0; i < depth; i++, index++) {
        const keep = dropPath && tf.reshape(tf.slice(dropPath, [2 * index, 0], [1, B]), [B, 1, 1, 1]);
        x = block(p, `stages.${s}.${i}`, x, keep);
        if (keepBlocks.includes(index)) kept.set(index, asTokens(x));
      }
    });
    return { tokens: asTokens(x), blocks: kept };
  }

  private checkSegment({ tokens, grid, dropPath, keepBlocks = [] }: BackboneSegment): void {
    const { stemDim, depth } = this;
    const [B, N0, D0] = tokens.shape;
    check(D0 === stemDim, `tokens [${tokens.shape}] have not ${stemDim} features`);
    if (N0 !== grid.rows * grid.columns) throw errors.tokensDropped(N0, grid);
    check(
      dropPath === undefined || dropPath.shape.join() === [2 * depth, B].join(),
      `dropPath must be [${2 * depth}, ${B}], not [${dropPath?.shape}]`,
    );
    for (const i of keepBlocks) check(i in this.dropPathRates, `there is no block ${i} of ${depth}`);
  }
}

/**
 * One block, figure 4 of the paper:  x + keep * gamma * pwconv2(gelu(pwconv1(norm(dwconv(x))))).
 *
 * @param x [B, H, W, C]
 * @param keep [B, 1, 1, 1] multipliers of the branch
 */
function block(p: Parameters, name: string, x: Tensor4D, keep: Tensor | undefined): Tensor4D {
  const param = (own: string) => p(`${name}.${own}`);
  const [B, H, W, C] = x.shape;
  const kernel = tf.transpose(param("dwconv.weight"), [2, 3, 0, 1]) as Tensor4D; // [C, 1, 7, 7] -> [7, 7, C, 1]
  const spread = tf.add(tf.depthwiseConv2d(x, kernel, 1, "same"), param("dwconv.bias"));
  let y = layerNorm(tf.reshape(spread, [B * H * W, C]), param("norm.weight"), param("norm.bias"));
  y = gelu(linear(y, param("pwconv1.weight"), param("pwconv1.bias"))); // [B H W, 4 C]
  y = linear(y, param("pwconv2.weight"), param("pwconv2.bias"));
  const branch = tf.reshape(tf.mul(y, param("gamma")), x.shape);
  return tf.add(x, keep ? tf.mul(branch, keep) : branch);
}

/** Between stages: norm, and a convolution of 2 x 2 positions with stride 2. [B, H, W, C] -> [B, H / 2, W / 2, C'] */
function merge(p: Parameters, name: string, x: Tensor4D): Tensor4D {
  const [B, H, W] = x.shape;
  const merged = patchProjection(normed(p, `${name}.0`, x), p(`${name}.1.weight`), p(`${name}.1.bias`));
  return tf.reshape(merged, [B, H / MERGED, W / MERGED, -1]);
}

/** The layer norm of every position, epsilon 1e-6. [..., C] */
function normed<T extends Tensor>(p: Parameters, name: string, x: T): T {
  const rows: tf.Tensor2D = tf.reshape(x, [-1, x.shape.at(-1)!]);
  return tf.reshape(layerNorm(rows, p(`${name}.weight`), p(`${name}.bias`)), x.shape) as T;
}

/** [B, H, W, C] -> [B, H W, C] */
function asTokens(x: Tensor4D): Tensor3D {
  const [B, H, W, C] = x.shape;
  return tf.reshape(x, [B, H * W, C]);
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(`ConvNext: ${message}`);
}
