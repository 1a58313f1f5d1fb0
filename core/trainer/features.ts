/** Features of whole images by a network after the final norm, in batches of one size. */
import * as tf from "@tensorflow/tfjs-core";
import type { TokenGrid } from "../backbone.ts";
import type { Network } from "../contexts.ts";
import type { HostArray, Program, Trace } from "../engine/engine.ts";
import type { Extractor, Images, PatchBatch, ProbeReadout, Readouts } from "../eval/extractor.ts";
import type { Features } from "../eval/features.ts";
import { imageToken } from "./backbone-output.ts";
import { STUDENT, TEACHER } from "./declarations.ts";
import { normalise, unitPixels } from "./pixels.ts";
import { plainVariant, TraceContext } from "./step-context.ts";
import type { Training } from "./training.ts";

const PIXELS = "pixels";
const POOLED = "pooled";
const PROBE = "probe";
const PATCHES = "patches";
const ATTENTION = "attention";

export class FeatureExtractor implements Extractor {
  readonly pooling: string;
  readonly size: number;
  readonly network: Network;
  private readonly training: Training;
  private readonly batchSize: number;
  private readonly programs = new Map<string, Promise<Program>>();

  /** Of square images of `size` pixels; the teacher's where there is one. */
  constructor(training: Training, { size, batchSize = 64 }: { size: number; batchSize?: number }) {
    const { networks, backbone } = training.declarations;
    this.pooling = `${backbone.hasClsToken ? "cls token" : "mean patch token"} after the final norm`;
    this.training = training;
    this.size = size;
    this.batchSize = batchSize;
    this.network = (networks.get(TEACHER) ?? networks.get(STUDENT))!;
  }

  /** The class token; the mean of the patch tokens where there is none. */
  async pooled(images: Images): Promise<Features> {
    const { embedDim: dim } = this.training.declarations.backbone;
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
    const { embedDim: dim } = this.training.declarations.backbone;
    const width = dim * (blocks + Number(meanPatch));
    const [pooled, read] = [dim, width].map((size) => new Float32Array(images.count * size)) as [
      Float32Array,
      Float32Array,
    ];
    const program = await this.program(`${PROBE} ${blocks} ${meanPatch}`, () =>
      this.traceReadouts({ blocks, meanPatch }),
    );
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
    const { hasClsToken, depth } = this.training.declarations.backbone;
    return hasClsToken ? { blocks: Math.min(blocks, depth), meanPatch } : { blocks: 1, meanPatch: false };
  }

  /** The patch tokens, and the class token's attention to them where the backbone tells it. */
  async *patches(images: Images): AsyncGenerator<PatchBatch> {
    const { backbone } = this.training.declarations;
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
    const program = this.programs.get(name) ?? this.training.engine.program(name, trace());
    this.programs.set(name, program);
    return program;
  }

  /** The program's outputs on all images; rows from `count` on are of padding. */
  private async *run(program: Program, { pixels, count: images }: Images) {
    const imageBytes = this.size ** 2 * this.training.declarations.run.channels;
    const batch = new Uint8Array(this.batchSize * imageBytes);
    for (let first = 0; first < images; first += this.batchSize) {
      const count = Math.min(this.batchSize, images - first);
      batch.fill(0).set(pixels.subarray(first * imageBytes, (first + count) * imageBytes));
      const outputs: Record<string, HostArray> = await program.run({ [PIXELS]: batch });
      yield { first, count, outputs };
    }
  }

  private tracePooled(): Trace {
    const { backbone } = this.training.declarations;
    return this.trace((context, parameters, tokens, grid) => {
      const [output] = backbone.blocks(parameters, [{ tokens, grid, clsOnly: backbone.hasClsToken }]);
      context.tracer.output(POOLED, imageToken(backbone, parameters, output!.tokens));
    });
  }

  private traceReadouts({ blocks, meanPatch }: ProbeReadout): Trace {
    const { backbone } = this.training.declarations;
    const { depth, registerTokens } = backbone;
    return this.trace((context, parameters, tokens, grid) => {
      const keepBlocks = Array.from({ length: blocks - 1 }, (_, i) => depth - blocks + i);
      const [output] = backbone.blocks(parameters, [{ tokens, grid, keepBlocks, clsOnly: !meanPatch }]);
      const read = [...keepBlocks.map((block) => output!.blocks.get(block)!), output!.tokens].map((block) =>
        imageToken(backbone, parameters, block),
      );
      context.tracer.output(POOLED, read.at(-1)!);
      if (meanPatch) {
        const patches = tf.slice(output!.tokens, [0, 1 + registerTokens, 0], [-1, -1, -1]);
        read.push(tf.mean(backbone.norm(parameters, patches), 1));
      }
      context.tracer.output(PROBE, tf.concat(read, 1));
    });
  }

  private tracePatches(): Trace {
    const { backbone } = this.training.declarations;
    const { hasClsToken, registerTokens, depth } = backbone;
    const front = (hasClsToken ? 1 : 0) + registerTokens;
    const beforeLast = depth - 2;
    return this.trace((context, parameters, tokens, grid) => {
      const keepBlocks = beforeLast < 0 ? [] : [beforeLast];
      const [output] = backbone.blocks(parameters, [{ tokens, grid, keepBlocks }]);
      const patches = tf.slice(output!.tokens, [0, front, 0], [-1, -1, -1]);
      context.tracer.output(PATCHES, backbone.norm(parameters, patches));
      const attention = backbone.clsAttention?.(parameters, output!.blocks.get(beforeLast) ?? tokens);
      if (attention) context.tracer.output(ATTENTION, attention);
    });
  }

  /** @param body gets the tokens before block 0, [batchSize, T, D], and the grid of the patches */
  private trace(
    body: (
      context: TraceContext,
      parameters: ReturnType<TraceContext["parameters"]>,
      tokens: tf.Tensor3D,
      grid: TokenGrid,
    ) => void,
  ): Trace {
    const { declarations, state, normalisation } = this.training;
    const { backbone, run } = declarations;
    return TraceContext.trace(declarations, state, plainVariant, (context) => {
      const shape = [this.batchSize, this.size, this.size, run.channels];
      const bytes = context.input(PIXELS, shape, "uint8") as tf.Tensor4D;
      const parameters = context.parameters(this.network, "backbone");
      const patches = backbone.patchify(parameters, normalise(unitPixels(bytes), normalisation));
      const grid = backbone.stemGrid(this.size);
      body(context, parameters, backbone.prepare(parameters, patches, grid), grid);
    });
  }
}
