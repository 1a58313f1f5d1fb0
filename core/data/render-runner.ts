/** Where rendering runs: in this thread, or in worker threads. Both give the same bytes. */
import { createRequire } from "node:module";
import { extname } from "node:path";
import type { Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import { errors } from "../errors.ts";
import { DecodeCache } from "./decode-cache.ts";
import { keyOf, nameOf } from "./image-source.ts";
import { nothingRendered, render, type Rendered, type RenderTask } from "./render.ts";

export interface RenderRunner {
  /** @throws PIPELINE_CLOSED for tasks that `close` has kept from running. */
  run(task: RenderTask): Promise<Rendered>;
  /** Waits for the tasks that have begun, and drops the others. */
  close(): Promise<void>;
}

/** One task after the other, so that the batch that is needed first is ready first. */
export class InThreadRunner implements RenderRunner {
  private cache: DecodeCache | undefined;
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;

  /** @param cache by the settings of the first task unless given */
  constructor(cache?: DecodeCache) {
    this.cache = cache;
  }

  run(task: RenderTask): Promise<Rendered> {
    const rendered = this.last.then(() => {
      if (this.closed) throw errors.pipelineClosed();
      this.cache ??= DecodeCache.of(task.settings);
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

export interface WorkerRunnerOptions {
  /** Module of the threads. */
  readonly entry?: URL;
  readonly warn?: (message: string) => void;
}

/** Deaths in a row, without a task that was done in between. */
const MAX_DEATHS = 6;

/**
 * Worker threads of one process. What a thread was doing when it died is done again: its samples one by one, so that the
 * one which is to blame is found. A sample whose thread has died twice counts as unreadable from then on.
 */
export class WorkerRunner implements RenderRunner {
  private readonly pool: Piscina;
  private readonly workers: number;
  private readonly warn: (message: string) => void;
  private readonly numbers = new Map<Worker, number>();
  private readonly fatalErrors = new WeakSet<Error>();
  /** Why threads died of it, by image. */
  private readonly deadly = new Map<string, string>();
  private deaths = 0;
  private lastDeath = { worker: "", reason: "" };
  private over = false;
  private closing = false;

  constructor(workers: number, options: WorkerRunnerOptions = {}) {
    const { entry = new URL(`./worker${extension}`, import.meta.url), warn = () => undefined } = options;
    this.workers = workers;
    this.warn = warn;
    this.pool = new Piscina({
      filename: entry.href,
      minThreads: workers,
      maxThreads: workers,
      idleTimeout: Infinity,
      stricterFIFO: true,
      recordTiming: false,
      execArgv: extension === ".ts" ? sourceArguments() : undefined,
    });
    this.watchThreads();
    // A death without a task: the thread's own events have told it already.
    this.pool.on("error", () => undefined);
  }

  async run(task: RenderTask): Promise<Rendered> {
    return this.tried(task, 0);
  }

  async close(): Promise<void> {
    this.closing = true;
    await this.pool.close({ force: true });
  }

  /** @param deaths that the task has been part of */
  private async tried(task: RenderTask, deaths: number): Promise<Rendered> {
    this.refuseWhenOver();
    const { samples } = task;
    if (samples.some((sample) => this.deadly.has(keyOf(sample.source)))) {
      if (samples.length === 1) return this.failed(task);
      return this.oneByOne(task, deaths);
    }
    try {
      const running = this.pool.run(task);
      this.watchThreads();
      const rendered = (await running) as Rendered;
      this.deaths = 0;
      return rendered;
    } catch (cause) {
      this.refuseWhenOver(cause);
      if (!this.isDeath(cause)) throw cause;
      if (samples.length !== 1) return this.oneByOne(task, deaths + 1);
      if (deaths > 0) this.deadly.set(keyOf(samples[0]!.source), cause.message);
      return this.tried(task, deaths + 1);
    }
  }

  private async oneByOne(task: RenderTask, deaths: number): Promise<Rendered> {
    if (task.samples.length === 0) return this.tried(task, deaths);
    const alone = task.samples.map((sample) => this.tried({ ...task, samples: [sample] }, deaths));
    return joined(await Promise.all(alone));
  }

  private failed({ settings, samples: [sample] }: RenderTask): Rendered {
    const why = this.deadly.get(keyOf(sample!.source))!;
    const reason = `${nameOf(sample!.source)} ended two data workers: ${why}`;
    return { ...nothingRendered(settings, 1), failures: [{ reason, unreachable: false }] };
  }

  /** The pool puts new threads in the place of dead ones. */
  private watchThreads(): void {
    for (const thread of this.pool.threads) {
      if (this.numbers.has(thread)) continue;
      const taken = new Set(this.numbers.values());
      let number = 1;
      while (taken.has(number)) number++;
      this.numbers.set(thread, number);
      thread.once("error", (error: Error) => {
        this.fatalErrors.add(error);
        this.died(thread, error.message);
      });
      thread.once("exit", (code) => this.died(thread, `it exited with code ${code}`));
    }
  }

  private died(thread: Worker, reason: string): void {
    const number = this.numbers.get(thread);
    if (number === undefined) return;
    this.numbers.delete(thread);
    if (this.closing || this.over) return;
    this.lastDeath = { worker: `${number} of ${this.workers}`, reason };
    this.watchThreads();
    if (++this.deaths < MAX_DEATHS && this.numbers.size > 0) {
      this.warn(`data worker ${this.lastDeath.worker} has died: ${reason}; another one takes its place`);
      return;
    }
    this.over = true;
    void this.pool.destroy();
  }

  /** Of a task's error: whether its thread is gone, or has told it. */
  private isDeath(cause: unknown): cause is Error {
    if (!(cause instanceof Error)) return false;
    return this.fatalErrors.has(cause) || cause.message.startsWith("worker exited with code");
  }

  private refuseWhenOver(cause?: unknown): void {
    const { worker, reason } = this.lastDeath;
    if (this.over) throw errors.dataWorkerDied(worker, reason).because(cause);
    if (this.closing) throw errors.pipelineClosed().because(cause);
  }
}

/** Samples one after the other, as if they had been one task. */
function joined(parts: readonly Rendered[]): Rendered {
  const { pixels, rects } = parts[0]!;
  return {
    pixels: pixels.map((_, group) => new Uint8Array(Buffer.concat(parts.map((part) => part.pixels[group]!)))),
    rects: rects.map((_, group) => Float32Array.from(parts.flatMap((part) => [...part.rects[group]!]))),
    failures: parts.flatMap(({ failures }) => failures),
  };
}
