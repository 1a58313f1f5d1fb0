import { LineProcess } from "./line-process.ts";
import { pytorchFolder } from "./python.ts";
import type { Phase, PhaseRun, Side } from "./side.ts";

/** How the PyTorch step is written: for speed on CPUs, or as published training code is. */
export const styles = ["tuned", "plain"] as const;
export type Style = (typeof styles)[number];

export interface PyTorchOptions {
  readonly python: string;
  /** What `exportRun` wrote. */
  readonly run: string;
  readonly style: Style;
  readonly compile: boolean;
}

/** The PyTorch step in a child process, which waits for commands and is idle between them. */
export class PyTorchSide implements Side {
  readonly name: string;
  /** Before the first step: Python, PyTorch and the weights. */
  readonly startBytes: number;
  readonly version: string;
  readonly threads: number;
  private readonly process: LineProcess;

  private constructor(process: LineProcess, hello: Hello, name: string) {
    this.process = process;
    this.version = hello.torch;
    this.threads = hello.threads;
    this.startBytes = hello.peakBytes;
    this.name = name;
  }

  /** Throws UsageError where it does not start. */
  static async start({ python, run, style, compile }: PyTorchOptions): Promise<PyTorchSide> {
    const args = ["-m", "baseline", "serve", run, "--style", style, ...(compile ? ["--compile"] : [])];
    const child = new LineProcess({
      program: python,
      args,
      env: { PYTHONPATH: pytorchFolder, PYTHONDONTWRITEBYTECODE: "1" },
      ended: "the PyTorch process ended; what it said is above",
    });
    return new PyTorchSide(child, await child.answer(), compile ? "PyTorch, compiled" : "PyTorch");
  }

  run(phase: Phase): Promise<PhaseRun> {
    return this.ask<PhaseRun>(phase);
  }

  async peakMemoryBytes(): Promise<number> {
    return (await this.ask<{ peakBytes: number }>("memory")).peakBytes;
  }

  close(): void {
    this.process.close();
  }

  private ask<T>(command: string): Promise<T> {
    return this.process.ask({ command });
  }
}

interface Hello {
  readonly torch: string;
  readonly threads: number;
  readonly peakBytes: number;
}
