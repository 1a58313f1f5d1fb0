/** What a person sees while images are embedded. */
import type { RelataError } from "../core/errors.ts";
import type { EmbedProgress } from "../core/run/embed.ts";
import { bar, BAR_WIDTH, eta, figure, fitted, percent, WAITING, type Field } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { theme } from "./theme.ts";
import { PLAIN_MS, REDRAW_MS } from "./train-view.ts";

/** Images that cannot be read are told one by one up to here, and counted. */
const TOLD = 5;

export class EmbedView {
  private readonly terminal: Terminal;
  private readonly now: () => number;
  private toldAt = -Infinity;
  private skipped = 0;

  constructor(terminal: Terminal, now: () => number = () => performance.now()) {
    this.terminal = terminal;
    this.now = now;
  }

  progress(progress: EmbedProgress): void {
    const last = progress.done === progress.total;
    if (!last && this.now() - this.toldAt < (this.terminal.isLive ? REDRAW_MS : PLAIN_MS)) return;
    this.toldAt = this.now();
    if (this.terminal.isLive) this.terminal.live(liveLine(progress, this.terminal.width));
    else this.terminal.line(plainLine(progress));
  }

  leftOut(error: RelataError): void {
    this.skipped++;
    if (this.skipped <= TOLD) this.terminal.line(`${theme.warning("left out:")} ${error.message}`);
    if (this.skipped === TOLD) this.terminal.line(theme.quiet("further ones are counted"));
  }
}

function liveLine(progress: EmbedProgress, width: number): string {
  const { done, total } = progress;
  const [speed, left, ...rest] = facts(progress);
  const fields: Field[] = [
    { text: bar(done / total, BAR_WIDTH), style: theme.accent, priority: 5 },
    { text: percent(done / total).padStart("100 %".length), priority: 1 },
    { text: `${String(done).padStart(String(total).length)}/${total}`, style: theme.quiet, priority: 6 },
    { text: speed!, priority: 4 },
    { text: left!, style: theme.good, priority: 2 },
    ...rest.map((text) => ({ text, style: theme.warning, priority: 3 })),
  ];
  return fitted(fields, width);
}

function plainLine(progress: EmbedProgress): string {
  const { done, total } = progress;
  return [`image ${done}/${total} (${percent(done / total)})`, ...facts(progress)].join(", ");
}

function facts({ imagesPerSecond, etaSeconds, waitShare, skipped }: EmbedProgress): string[] {
  return [
    `${figure(imagesPerSecond)} images/s`,
    eta(etaSeconds),
    ...(skipped > 0 ? [`${skipped} left out`] : []),
    ...(waitShare >= WAITING ? [`waiting for images ${percent(waitShare)}`] : []),
  ];
}
