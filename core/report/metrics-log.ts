/**
 * The log of a run's numbers, `metrics.jsonl`: one JSON object per line.
 *
 * Names are `group/name` ("loss/dino", "knn/top1", "dino/teacherTemp") or plain ("loss", "lr"); the report
 * draws one chart per group. A value that is not finite is written as null and read as NaN.
 */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { errors } from "../errors.ts";

/** One line: what was measured at one step. Several lines may share a step. */
export interface MetricsRecord {
  /** 0-based index of the update. */
  readonly step: number;
  /** Fractional inside an epoch. */
  readonly epoch: number;
  /** Seconds since 1970. */
  readonly time: number;
  readonly [name: string]: number;
}

export class MetricsLog {
  readonly path: string;
  private readonly file: number;
  private lastStep: number;

  private constructor(path: string, keptBytes: number, lastStep: number) {
    this.path = path;
    this.lastStep = lastStep;
    this.file = openSync(path, "a");
    ftruncateSync(this.file, keptBytes);
  }

  /**
   * Opens the log for appending. What it holds from `resumeStep` on is dropped, an unfinished last line too.
   *
   * @param options.resumeStep the step that runs next (default 0: the log starts empty).
   * @throws METRICS_CORRUPT for a complete line that is no record.
   */
  static open(path: string, { resumeStep = 0 }: { resumeStep?: number } = {}): MetricsLog {
    mkdirSync(dirname(path), { recursive: true });
    let kept = 0;
    let last = -1;
    if (resumeStep > 0 && existsSync(path)) {
      for (const { record, end } of completeLines(path)) {
        if (record.step >= resumeStep) break;
        kept = end;
        last = record.step;
      }
    }
    return new MetricsLog(path, kept, last);
  }

  /** @throws METRICS_ORDER for a step before the last one. */
  append(record: MetricsRecord): void {
    if (record.step < this.lastStep) throw errors.metricsOrder(this.path, record.step, this.lastStep);
    this.lastStep = record.step;
    writeSync(this.file, `${JSON.stringify(record)}\n`);
  }

  close(): void {
    closeSync(this.file);
  }
}

/**
 * All complete lines of a log, in order. An unfinished last line, of a crash or a running run, is left out.
 *
 * @throws METRICS_CORRUPT for a complete line that is no record.
 */
export function readMetrics(path: string): MetricsRecord[] {
  return Array.from(completeLines(path), ({ record }) => record);
}

/** The records with the offset of the byte after each. */
function* completeLines(path: string): Generator<{ record: MetricsRecord; end: number }> {
  const data = readFileSync(path);
  let start = 0;
  for (let number = 1; ; number++) {
    const newline = data.indexOf(0x0a, start);
    if (newline < 0) return;
    yield { record: parseLine(data.toString("utf8", start, newline), path, number), end: newline + 1 };
    start = newline + 1;
  }
}

function parseLine(line: string, path: string, number: number): MetricsRecord {
  let value: unknown;
  try {
    value = JSON.parse(line, (_, v: unknown) => (v === null ? NaN : v));
  } catch (cause) {
    throw errors.metricsCorrupt(path, number).because(cause);
  }
  if (typeof value !== "object" || !Number.isInteger((value as Partial<MetricsRecord>).step)) {
    throw errors.metricsCorrupt(path, number);
  }
  return value as MetricsRecord;
}
