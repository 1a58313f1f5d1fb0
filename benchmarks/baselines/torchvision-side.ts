/** DINO's views by torchvision, in a child process that waits for image files and is idle between them. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { UsageError } from "../command.ts";
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
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly answers: AsyncIterator<string>;

  private constructor(
    child: TorchvisionSide["child"],
    answers: AsyncIterator<string>,
    versions: Record<string, string>,
  ) {
    this.child = child;
    this.answers = answers;
    this.versions = versions;
  }

  /** Throws UsageError where it does not start. */
  static async start(python: string, kind: TorchvisionKind, spec: ViewsSpec): Promise<TorchvisionSide> {
    const script = join(pytorchFolder, "data.py");
    const child = spawn(python, [script, kind, JSON.stringify(spec)], { stdio: ["pipe", "pipe", "inherit"] });
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return new TorchvisionSide(child, answers, await answerOf<Record<string, string>>(answers));
  }

  /** CPU seconds that all views of these images took. */
  async run(paths: readonly string[]): Promise<number> {
    this.child.stdin.write(`${JSON.stringify(paths)}\n`);
    return answerOf<number>(this.answers);
  }

  close(): void {
    this.child.stdin.end();
  }
}

async function answerOf<T>(answers: AsyncIterator<string>): Promise<T> {
  const { value, done } = (await answers.next()) as IteratorResult<string, undefined>;
  if (done)
    throw new UsageError(
      "torchvision's process ended; what it said is above. The Python needs torch and torchvision: name one that " +
        "has them with --python or RELATA_PYTHON",
    );
  return JSON.parse(value) as T;
}
