/** DINO's views by torchvision, in a child process that waits for image files and is idle between them. */
import { join } from "node:path";
import { LineProcess } from "./line-process.ts";
import { pytorchFolder } from "./python.ts";

/** On PIL images, or on tensors. */
export type TorchvisionKind = "pil" | "tensor";

/** Sizes and normalisation; all else is DINO's and is written in data.py. */
export interface ViewsSpec {
  readonly global: CropSpec;
  readonly local: CropSpec;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface CropSpec {
  readonly count: number;
  readonly size: number;
  readonly scale: readonly [number, number];
}

export class TorchvisionSide {
  readonly versions: Readonly<Record<string, string>>;
  private readonly process: LineProcess;

  private constructor(process: LineProcess, versions: Record<string, string>) {
    this.process = process;
    this.versions = versions;
  }

  /** Throws UsageError where it does not start. */
  static async start(python: string, kind: TorchvisionKind, spec: ViewsSpec): Promise<TorchvisionSide> {
    const process = new LineProcess({
      program: python,
      args: [join(pytorchFolder, "data.py"), kind, JSON.stringify(spec)],
      ended:
        "torchvision's process ended; what it said is above. The Python needs torch and torchvision: name one that " +
        "has them with --python or RELATA_PYTHON",
    });
    return new TorchvisionSide(process, await process.answer());
  }

  /** CPU seconds that all views of these images took. */
  run(paths: readonly string[]): Promise<number> {
    return this.process.ask(paths);
  }

  close(): void {
    this.process.close();
  }
}
