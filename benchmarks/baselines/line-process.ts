import { spawn, type ChildProcessByStdio } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { UsageError } from "../command.ts";

export interface LineProcessOptions {
  readonly program: string;
  readonly args: readonly string[];
  /** In addition to this process's. */
  readonly env?: Readonly<Record<string, string>>;
  /** What to say where it ends before it has answered; what it said itself is on standard error. */
  readonly ended: string;
}

/** A child process that answers each line of JSON with one, and is idle between them. */
export class LineProcess {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly answers: AsyncIterator<string, undefined>;
  private ended: string;

  constructor({ program, args, env, ended }: LineProcessOptions) {
    this.ended = ended;
    this.child = spawn(program, args, {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
    this.child.on("error", ({ message }) => (this.ended = `${program} did not start: ${message}`));
    // Where it has ended, its answers have too, and that is told.
    this.child.stdin.on("error", () => undefined);
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** Throws UsageError where it ends instead, or says what is no JSON. */
  async ask<T>(message: unknown): Promise<T> {
    this.child.stdin.write(`${JSON.stringify(message)}\n`);
    return this.answer<T>();
  }

  /** What it says unasked, such as when it has started; throws as `ask`. */
  async answer<T>(): Promise<T> {
    const { value, done } = await this.answers.next();
    if (done) throw new UsageError(this.ended);
    try {
      return JSON.parse(value) as T;
    } catch {
      throw new UsageError(`${this.child.spawnfile} answered with what is no JSON: ${value}`);
    }
  }

  close(): void {
    this.child.stdin.end();
  }
}
