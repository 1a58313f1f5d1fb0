/** The machine's matrix-product speed, measured through the same engine and precision as the step. */
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Program } from "../core/engine/engine.ts";

const SIDE = 2048;
const PRODUCTS = 6;

/** A chain of square products; in bf16 every product's inputs and result are bf16. */
export class MatmulPeak {
  readonly flops = PRODUCTS * 2 * SIDE ** 3;
  private readonly program: Program;

  private constructor(program: Program) {
    this.program = program;
  }

  static async create(engine: Engine): Promise<MatmulPeak> {
    const names = ["peak/a", "peak/b"] as const;
    const [a, b] = names.map((name) => engine.variable(name, [SIDE, SIDE])) as [
      ReturnType<Engine["variable"]>,
      ReturnType<Engine["variable"]>,
    ];
    const values = Float32Array.from({ length: SIDE * SIDE }, (_, i) => Math.sin(i) / Math.sqrt(SIDE));
    await engine.load([
      [a, values],
      [b, values],
    ]);
    const program = await engine.program("peak", (tracer) => {
      const right = tracer.read(b) as tf.Tensor2D;
      let x = tracer.read(a) as tf.Tensor2D;
      for (let i = 0; i < PRODUCTS; i++) x = tf.matMul(x, right);
      tracer.output("corner", tf.slice(x, [0, 0], [1, 1]));
    });
    return new MatmulPeak(program);
  }

  /** Seconds of one run. */
  async run(): Promise<number> {
    const start = performance.now();
    await this.program.run({});
    return (performance.now() - start) / 1000;
  }
}
