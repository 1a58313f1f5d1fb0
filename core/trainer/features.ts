/** Features of whole images: a network's class token after the final norm, in batches of one size. */
import * as tf from "@tensorflow/tfjs-core";
import type { Network } from "../contexts.ts";
import type { Program, Trace } from "../engine/engine.ts";
import type { Features } from "../eval/features.ts";
import { STUDENT, TEACHER } from "./declarations.ts";
import { normalise, unitPixels } from "./pixels.ts";
import { plainVariant, TraceContext } from "./step-context.ts";
import type { Training } from "./training.ts";

const PIXELS = "pixels";
const FEATURES = "features";

export class FeatureExtractor {
  readonly size: number;
  readonly network: Network;
  private readonly training: Training;
  private readonly batchSize: number;
  private program: Promise<Program> | undefined;

  /** Of square images of `size` pixels; the teacher's where there is one. */
  constructor(training: Training, { size, batchSize = 64 }: { size: number; batchSize?: number }) {
    const { networks } = training.declarations;
    this.training = training;
    this.size = size;
    this.batchSize = batchSize;
    this.network = (networks.get(TEACHER) ?? networks.get(STUDENT))!;
  }

  /** @param pixels [n, size, size, channels] bytes */
  async extract(pixels: Uint8Array): Promise<Features> {
    const { declarations } = this.training;
    const imageBytes = this.size ** 2 * declarations.run.channels;
    const count = pixels.length / imageBytes;
    const dim = declarations.backbone.embedDim;
    const data = new Float32Array(count * dim);
    this.program ??= this.training.engine.program("features", this.trace());
    const program = await this.program;
    const batch = new Uint8Array(this.batchSize * imageBytes);
    for (let start = 0; start < count; start += this.batchSize) {
      const rows = Math.min(this.batchSize, count - start);
      batch.fill(0).set(pixels.subarray(start * imageBytes, (start + rows) * imageBytes));
      const outputs = await program.run({ [PIXELS]: batch });
      data.set((outputs[FEATURES] as Float32Array).subarray(0, rows * dim), start * dim);
    }
    return { data, count, dim };
  }

  private trace(): Trace {
    const { declarations, state, normalisation } = this.training;
    const { backbone, run } = declarations;
    return TraceContext.trace(declarations, state, plainVariant, (context) => {
      const shape = [this.batchSize, this.size, this.size, run.channels];
      const bytes = context.input(PIXELS, shape, "uint8") as tf.Tensor4D;
      const parameters = context.parameters(this.network, "backbone");
      const patches = backbone.patchify(parameters, normalise(unitPixels(bytes), normalisation));
      const tokens = backbone.prepare(parameters, patches, backbone.grid(this.size));
      const [output] = backbone.blocks(parameters, [{ tokens, clsOnly: backbone.hasClsToken }]);
      // Without a class token the mean of the patch tokens stands for the image.
      const pooled = backbone.hasClsToken ? output!.tokens : tf.mean(output!.tokens, 1, true);
      const rows = tf.reshape(pooled, [this.batchSize, backbone.embedDim]);
      context.tracer.output(FEATURES, backbone.norm(parameters, rows));
    });
  }
}
