/** What a person sees of a run while it goes on. */
import { describeCard, type EvalResult } from "../core/eval/card.ts";
import type { Logger } from "../core/logger.ts";
import type { Evaluation } from "../core/eval/evaluator.ts";
import type { StepReport, TrainingStart, TrainObserver } from "../core/trainer/train.ts";
import type { Progress } from "../core/contexts.ts";
import { deviceName } from "../core/run/provenance.ts";
import { liveLine, plainLine, type StepView } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { theme } from "./theme.ts";
import { originLines } from "./weights-view.ts";

/** Redrawing faster than this is flicker. */
export const REDRAW_MS = 100;
/** Without a terminal: a line this often. */
export const PLAIN_MS = 10_000;

export class TrainView implements TrainObserver {
  private readonly terminal: Terminal;
  private readonly now: () => number;
  private epochs = 1;
  private toldAt = -Infinity;

  constructor(terminal: Terminal, now: () => number = () => performance.now()) {
    this.terminal = terminal;
    this.now = now;
  }

  start(info: TrainingStart): void {
    this.epochs = info.epochs;
    for (const line of startLines(info)) this.terminal.line(line);
  }

  status(message: string): void {
    if (this.terminal.isLive) this.terminal.live(theme.quiet(`${message} …`));
    else this.terminal.line(message);
  }

  /** A status that changes often. */
  progress(message: string): void {
    if (this.mayTell()) this.status(message);
  }

  /** What an evaluation tells. */
  get evaluating(): { readonly logger: Logger; readonly progress: (message: string) => void } {
    return {
      logger: { info: (message) => this.status(message), warn: (message) => this.warning(message) },
      progress: (message) => this.progress(message),
    };
  }

  step(report: StepReport): void {
    const view: StepView = { ...report, epochs: this.epochs };
    const last = report.step + 1 === report.totalSteps;
    if (!this.mayTell() && !last) return;
    if (this.terminal.isLive) this.terminal.live(liveLine(view, this.terminal.width));
    else this.terminal.line(plainLine(view));
  }

  /** Whether what changes often may be told again. */
  private mayTell(): boolean {
    if (this.now() - this.toldAt < (this.terminal.isLive ? REDRAW_MS : PLAIN_MS)) return false;
    this.toldAt = this.now();
    return true;
  }

  evaluation({ results }: Evaluation, { epoch }: Progress): void {
    if (results.length === 0) return;
    this.terminal.line(theme.heading(`after epoch ${Number(epoch.toFixed(2))}`));
    for (const line of resultLines(results)) this.terminal.line(line);
  }

  warning(message: string): void {
    this.terminal.line(`${theme.warning("warning:")} ${message}`);
  }
}

function startLines(info: TrainingStart): string[] {
  const count = (value: number) => value.toLocaleString("en-US");
  const resumed = info.fromStep > 0 ? `, going on after step ${count(info.fromStep)}` : "";
  const of = (value: number, what: string) => `${count(value)} ${what}${value === 1 ? "" : "s"}`;
  const plan = `${of(info.epochs, "epoch")} of ${of(info.stepsPerEpoch, "step")}${resumed}`;
  const library = /^\d/.test(info.library) ? `TensorFlow ${info.library}` : info.library;
  return [
    theme.heading(info.folder),
    `  ${of(info.images, "image")}, ${plan}`,
    `  ${info.plugins.join(" + ")}, ${count(info.parameters)} trained weights`,
    theme.quiet(`  ${info.engine} engine on ${deviceName(info.device)}, ${info.precision}, ${library}`),
    ...(info.init ? originLines(info.init).map((line) => `  ${line}`) : []),
  ];
}

/** One line per figure, with the same figure of raw pixels and of the untrained backbone. */
export function resultLines(results: readonly EvalResult[]): string[] {
  const figures = results.flatMap(({ card, figures }) =>
    figures.map((figure) => ({ ...figure, label: `${card.task}, ${figure.name}` })),
  );
  const width = Math.max(...figures.map(({ label }) => label.length));
  return figures.map(({ label, value, interval, baselines }) => {
    const beside = baselines.map((baseline) => `${baseline.name} ${share(baseline.value)}`).join(", ");
    const better = baselines.every((baseline) => value > baseline.value);
    const own = (better ? theme.good : theme.warning)(share(value).padStart(7));
    const around = interval === undefined ? "" : theme.quiet(` ± ${(100 * interval).toFixed(1)}`);
    return `  ${label.padEnd(width)} ${own}${around}${beside === "" ? "" : theme.quiet(`  (${beside})`)}`;
  });
}

/** The same, and under the figures of each result how they were made. */
export function protocolLines(results: readonly EvalResult[]): string[] {
  const lines = resultLines(results);
  return results.flatMap(({ card, figures }) => [
    ...lines.splice(0, figures.length),
    theme.quiet(`    ${describeCard(card).replaceAll("\u00a0", " ")}`),
  ]);
}

function share(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}
