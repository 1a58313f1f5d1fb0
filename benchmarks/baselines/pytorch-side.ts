import { spawn, type ChildProcessByStdio } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { UsageError } from "../command.ts";
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
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly answers: AsyncIterator<string>;

  private constructor(
    child: PyTorchSide["child"],
    answers: AsyncIterator<string>,
    hello: Hello,
    name: string,
  ) {
    this.child = child;
    this.answers = answers;
    this.version = hello.torch;
    this.threads = hello.threads;
    this.startBytes = hello.peakBytes;
    this.name = name;
  }

  /** Throws UsageError where it does not start. */
  static async start({ python, run, style, compile }: PyTorchOptions): Promise<PyTorchSide> {
    const args = ["-m", "baseline", "serve", run, "--style", style, ...(compile ? ["--compile"] : [])];
    const child = spawn(python, args, {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, PYTHONPATH: pytorchFolder, PYTHONDONTWRITEBYTECODE: "1" },
    });
    // Where it has ended, its answers have too, and that is told.
    child.stdin.on("error", () => undefined);
    const lines: Interface = createInterface({ input: child.stdout });
    const answers = lines[Symbol.asyncIterator]();
    const hello = await answerOf<Hello>(answers);
    return new PyTorchSide(child, answers, hello, compile ? "PyTorch, compiled" : "PyTorch");
  }

  run(phase: Phase): Promise<PhaseRun> {
    return this.ask<PhaseRun>(phase);
  }

  async peakMemoryBytes(): Promise<number> {
    return (await this.ask<{ peakBytes: number }>("memory")).peakBytes;
  }

  close(): void {
    this.child.stdin.end();
  }

  private ask<T>(command: string): Promise<T> {
    this.child.stdin.write(`${JSON.stringify({ command })}\n`);
    return answerOf<T>(this.answers);
  }
}

interface Hello {
  readonly torch: string;
  readonly threads: number;
  readonly peakBytes: number;
}

async function answerOf<T>(answers: AsyncIterator<string>): Promise<T> {
  const { value, done } = (await answers.next()) as IteratorResult<string, undefined>;
  if (done) throw new UsageError("the PyTorch process ended; what it said is above");
  return JSON.parse(value) as T;
}
