/** Where rendering runs: in this thread, or in worker threads. Both give the same bytes. */
import { createRequire } from "node:module";
import { extname } from "node:path";
import { Piscina } from "piscina";
import { errors } from "../errors.ts";
import { DecodeCache } from "./decode-cache.ts";
import { render, type Rendered, type RenderTask } from "./render.ts";

export interface RenderRunner {
  /** @throws PIPELINE_CLOSED for tasks that `close` has kept from running. */
  run(task: RenderTask): Promise<Rendered>;
  /** Waits for the tasks that have begun, and drops the others. */
  close(): Promise<void>;
}

/** One task after the other, so that the batch that is needed first is ready first. */
export class InThreadRunner implements RenderRunner {
  private readonly cache = new DecodeCache();
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;

  run(task: RenderTask): Promise<Rendered> {
    const rendered = this.last.then(() => {
      if (this.closed) throw errors.pipelineClosed();
      return render(task, this.cache);
    });
    this.last = rendered.catch(() => undefined);
    return rendered;
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.last;
  }
}

/** Of this file, and so of the worker's: .ts in a checkout, .js when compiled. */
const extension = extname(new URL(import.meta.url).pathname);

/** A thread has its own loader: tsx's for `require`, which is how the pool loads its entry. */
function sourceArguments(): string[] {
  return ["--require", createRequire(import.meta.url).resolve("tsx/cjs"), "--conditions=relata-source"];
}

/** Worker threads of one process. */
export class WorkerRunner implements RenderRunner {
  private readonly pool: Piscina;
  private readonly workers: number;
  private death: { worker: string; reason: string } | undefined;
  private closing = false;

  constructor(workers: number, entry = new URL(`./worker${extension}`, import.meta.url)) {
    this.workers = workers;
    this.pool = new Piscina({
      filename: entry.href,
      minThreads: workers,
      maxThreads: workers,
      idleTimeout: Infinity,
      stricterFIFO: true,
      recordTiming: false,
      execArgv: extension === ".ts" ? sourceArguments() : undefined,
    });
    this.pool.threads.forEach((thread, index) => {
      thread.once("error", (error: Error) => this.died(index, error.message));
      thread.once("exit", (code) => this.died(index, `it exited with code ${code}`));
    });
    // A death without a task: the thread's own events above have told it already.
    this.pool.on("error", () => undefined);
  }

  async run(task: RenderTask): Promise<Rendered> {
    this.refuseWhenOver();
    try {
      return (await this.pool.run(task)) as Rendered;
    } catch (cause) {
      this.refuseWhenOver(cause);
      throw cause;
    }
  }

  async close(): Promise<void> {
    this.closing = true;
    await this.pool.close({ force: true });
  }

  private died(index: number, reason: string): void {
    if (this.closing || this.death) return;
    this.death = { worker: `${index + 1} of ${this.workers}`, reason };
    // The pool would replace it, and again when the cause is still there.
    void this.pool.destroy();
  }

  private refuseWhenOver(cause?: unknown): void {
    if (this.death) throw errors.dataWorkerDied(this.death.worker, this.death.reason).because(cause);
    if (this.closing) throw errors.pipelineClosed().because(cause);
  }
}
