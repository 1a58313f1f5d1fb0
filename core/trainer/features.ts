/** Features of whole images by a network after the final norm, in batches of one size. */
import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, TokenGrid } from "../backbone.ts";
import type { Engine, HostArray, Program, Trace, Tracer, Variable } from "../engine/engine.ts";
import type { Extractor, Images, PatchBatch, ProbeReadout, Readouts } from "../eval/extractor.ts";
import type { Features } from "../eval/features.ts";
import type { Parameters } from "../parameters.ts";
import { imageToken } from "./backbone-output.ts";
import { STUDENT, TEACHER } from "./declarations.ts";
import { normalise, unitPixels, type Normalisation } from "./pixels.ts";
import type { Training } from "./training.ts";

const PIXELS = "pixels";
const POOLED = "pooled";
const PROBE = "probe";
const PATCHES = "patches";
const ATTENTION = "attention";

/** A network whose backbone gives features: one of a run, or one opened from a file of weights. */
export interface FeatureNetwork {
  /** As protocol cards tell it: "teacher". */
  readonly name: string;
  readonly backbone: Backbone;
  readonly engine: Engine;
  /** Of the images. */
  readonly channels: number;
  readonly normalisation: Normalisation;
  /** The engine's variable of one of the backbone's parameters. */
  variable(parameter: string): Variable;
}

/** The teacher of a run; its student where it has no teacher. */
export function trainedNetwork({ declarations, state, engine, normalisation }: Training): FeatureNetwork {
  const { networks, variables, backbone, run } = declarations;
  const network = (networks.get(TEACHER) ?? networks.get(STUDENT))!;
  const variable = (parameter: string) => state.get(variables.get(`backbone.${parameter}`)!, network);
  return { name: network.name, backbone, engine, channels: run.channels, normalisation, variable };
}

export class FeatureExtractor implements Extractor {
  readonly pooling: string;
  readonly size: number;
  readonly network: FeatureNetwork;
  private readonly batchSize: number;
  private readonly programs = new Map<string, Promise<Program>>();

  /** Of square images of `size` pixels. */
  constructor(network: FeatureNetwork, { size, batchSize = 64 }: { size: number; batchSize?: number }) {
    this.pooling = `${network.backbone.hasClsToken ? "cls token" : "mean patch token"} after the final norm`;
    this.network = network;
    this.size = size;
    this.batchSize = batchSize;
  }

  /** The class token; the mean of the patch tokens where there is none. */
  async pooled(images: Images): Promise<Features> {
    const { embedDim: dim } = this.network.backbone;
    const data = new Float32Array(images.count * dim);
    const program = await this.program(POOLED, () => this.tracePooled());
    for await (const { first, count, outputs } of this.run(program, images)) {
      data.set((outputs[POOLED] as Float32Array).subarray(0, count * dim), first * dim);
    }
    return { data, count: images.count, dim };
  }

  async readouts(images: Images, probe: ProbeReadout): Promise<Readouts> {
    const { blocks, meanPatch } = this.readable(probe);
    if (blocks === 1 && !meanPatch) {
      const pooled = await this.pooled(images);
      return { pooled, probe: pooled };
    }
    const { embedDim: dim } = this.network.backbone;
    const width = dim * (blocks + Number(meanPatch));
    const [pooled, read] = [dim, width].map((size) => new Float32Array(images.count * size)) as [
      Float32Array,
      Float32Array,
    ];
    const name = `${PROBE}/${blocks}${meanPatch ? "/mean" : ""}`;
    const program = await this.program(name, () => this.traceReadouts({ blocks, meanPatch }));
    for await (const { first, count, outputs } of this.run(program, images)) {
      pooled.set((outputs[POOLED] as Float32Array).subarray(0, count * dim), first * dim);
      read.set((outputs[PROBE] as Float32Array).subarray(0, count * width), first * width);
    }
    const { count } = images;
    return { pooled: { data: pooled, count, dim }, probe: { data: read, count, dim: width } };
  }

  probing(probe: ProbeReadout): string {
    const { blocks, meanPatch } = this.readable(probe);
    const cls =
      blocks === 1 ? this.pooling : `cls tokens of the last ${blocks} blocks, each after the final norm`;
    return meanPatch ? `${cls}, and the mean patch token` : cls;
  }

  /** What there is of it: without a class token only the mean of the last block's patches has the final norm's width. */
  private readable({ blocks, meanPatch }: ProbeReadout): ProbeReadout {
    const { hasClsToken, depth } = this.network.backbone;
    return hasClsToken ? { blocks: Math.min(blocks, depth), meanPatch } : { blocks: 1, meanPatch: false };
  }

  /** The patch tokens, and the class token's attention to them where the backbone tells it. */
  async *patches(images: Images): AsyncGenerator<PatchBatch> {
    const { backbone } = this.network;
    const { embedDim: dim, numHeads: heads } = backbone;
    const side = backbone.grid(this.size).rows;
    const program = await this.program(PATCHES, () => this.tracePatches());
    for await (const { first, count, outputs } of this.run(program, images)) {
      const patches = (outputs[PATCHES] as Float32Array).subarray(0, count * side * side * dim);
      const weights = outputs[ATTENTION] as Float32Array | undefined;
      yield { first, count, side, dim, patches, attention: weights && { heads, weights } };
    }
  }

  private program(name: string, trace: () => Trace): Promise<Program> {
    const program = this.programs.get(name) ?? this.network.engine.program(name, trace());
    this.programs.set(name, program);
    return program;
  }

  /** The program's outputs on all images; rows from `count` on are of padding. */
  private async *run(program: Program, { pixels, count: images }: Images) {
    const imageBytes = this.size ** 2 * this.network.channels;
    const batch = new Uint8Array(this.batchSize * imageBytes);
    for (let first = 0; first < images; first += this.batchSize) {
      const count = Math.min(this.batchSize, images - first);
      batch.fill(0).set(pixels.subarray(first * imageBytes, (first + count) * imageBytes));
      const outputs: Record<string, HostArray> = await program.run({ [PIXELS]: batch });
      yield { first, count, outputs };
    }
  }

  private tracePooled(): Trace {
    const { backbone } = this.network;
    return this.trace((tracer, parameters, tokens, grid) => {
      const [output] = backbone.blocks(parameters, [{ tokens, grid, clsOnly: backbone.hasClsToken }]);
      tracer.output(POOLED, imageToken(backbone, parameters, output!.tokens));
    });
  }

  private traceReadouts({ blocks, meanPatch }: ProbeReadout): Trace {
    const { backbone } = this.network;
    const { depth, registerTokens } = backbone;
    return this.trace((tracer, parameters, tokens, grid) => {
      const keepBlocks = Array.from({ length: blocks - 1 }, (_, i) => depth - blocks + i);
      const [output] = backbone.blocks(parameters, [{ tokens, grid, keepBlocks, clsOnly: !meanPatch }]);
      const read = [...keepBlocks.map((block) => output!.blocks.get(block)!), output!.tokens].map((block) =>
        imageToken(backbone, parameters, block),
      );
      tracer.output(POOLED, read.at(-1)!);
      if (meanPatch) {
        const patches = tf.slice(output!.tokens, [0, 1 + registerTokens, 0], [-1, -1, -1]);
        read.push(tf.mean(backbone.norm(parameters, patches), 1));
      }
      tracer.output(PROBE, tf.concat(read, 1));
    });
  }

  private tracePatches(): Trace {
    const { backbone } = this.network;
    const { hasClsToken, registerTokens, depth } = backbone;
    const front = (hasClsToken ? 1 : 0) + registerTokens;
    const beforeLast = depth - 2;
    return this.trace((tracer, parameters, tokens, grid) => {
      const keepBlocks = beforeLast < 0 ? [] : [beforeLast];
      const [output] = backbone.blocks(parameters, [{ tokens, grid, keepBlocks }]);
      const patches = tf.slice(output!.tokens, [0, front, 0], [-1, -1, -1]);
      tracer.output(PATCHES, backbone.norm(parameters, patches));
      const attention = backbone.clsAttention?.(parameters, output!.blocks.get(beforeLast) ?? tokens);
      if (attention) tracer.output(ATTENTION, attention);
    });
  }

  /** @param body gets the tokens before block 0, [batchSize, T, D], and the grid of the patches */
  private trace(
    body: (tracer: Tracer, parameters: Parameters, tokens: tf.Tensor3D, grid: TokenGrid) => void,
  ): Trace {
    const { backbone, channels, normalisation, variable } = this.network;
    return (tracer) => {
      const shape = [this.batchSize, this.size, this.size, channels];
      const bytes = tracer.input(PIXELS, shape, "uint8") as tf.Tensor4D;
      const parameters: Parameters = (name) => tracer.read(variable(name));
      const patches = backbone.patchify(parameters, normalise(unitPixels(bytes), normalisation));
      const grid = backbone.stemGrid(this.size);
      body(tracer, parameters, backbone.prepare(parameters, patches, grid), grid);
    };
  }
}
