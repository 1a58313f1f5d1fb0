/** How progress is told: one line that changes on a terminal, a sentence now and then elsewhere. */
import { duration } from "../core/report/format.ts";
import type { StepReport } from "../core/trainer/train.ts";
import { theme, type Style } from "./theme.ts";

export interface StepView extends StepReport {
  readonly epochs: number;
}

/** A part of a line. */
export interface Field {
  readonly text: string;
  readonly style?: Style;
  /** 1 is left out last. */
  readonly priority: number;
}

export const BAR_WIDTH = 20;
const GAP = "  ";
/** From this share on, waiting for images is worth telling. */
export const WAITING = 0.1;

/** One line of at most `width` columns: what matters less is left out where it is narrow. */
export function liveLine(view: StepView, width: number): string {
  const done = view.step + 1;
  const loss = view.scalars["loss"];
  const waiting = view.waitShare >= WAITING ? [`waiting for images ${percent(view.waitShare)}`] : [];
  const fields: Field[] = [
    { text: epochOf(view), priority: 4 },
    { text: bar(done / view.totalSteps, BAR_WIDTH), style: theme.accent, priority: 5 },
    { text: percent(done / view.totalSteps).padStart("100 %".length), priority: 1 },
    { text: stepOf(view), style: theme.quiet, priority: 6 },
    ...(loss === undefined ? [] : [{ text: `loss ${figure(loss)}`, style: theme.heading, priority: 2 }]),
    ...termsOf(view).map((text) => ({ text, priority: 8 })),
    { text: `${figure(view.imagesPerSecond)} images/s`, priority: 7 },
    { text: eta(view.etaSeconds), style: theme.good, priority: 3 },
    { text: bytes(view.memoryBytes), style: theme.quiet, priority: 9 },
    ...waiting.map((text) => ({ text, style: theme.warning, priority: 3 })),
  ];
  return fitted(fields, width);
}

/** The fields that fit, side by side. */
export function fitted(fields: readonly Field[], width: number): string {
  const kept = new Set<Field>();
  let used = -GAP.length;
  for (const field of fields.toSorted((a, b) => a.priority - b.priority)) {
    if (used + GAP.length + field.text.length > width) break;
    used += GAP.length + field.text.length;
    kept.add(field);
  }
  return fields
    .filter((field) => kept.has(field))
    .map(({ text, style }) => (style ? style(text) : text))
    .join(GAP);
}

/** The same as a sentence, for logs. */
export function plainLine(view: StepView): string {
  const done = view.step + 1;
  const loss = view.scalars["loss"];
  const terms = termsOf(view);
  return [
    `step ${done}/${view.totalSteps} (${percent(done / view.totalSteps)})`,
    epochOf(view),
    ...(loss === undefined
      ? []
      : [`loss ${figure(loss)}${terms.length > 1 ? ` (${terms.join(", ")})` : ""}`]),
    `${figure(view.imagesPerSecond)} images/s`,
    eta(view.etaSeconds),
    bytes(view.memoryBytes),
    ...(view.waitShare >= WAITING ? [`waiting for images ${percent(view.waitShare)}`] : []),
  ].join(", ");
}

/** A bar of `width` columns for a share of 0..1. */
export function bar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return "━".repeat(full) + "─".repeat(width - full);
}

/** 1234567 -> "1.2 MB" */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function epochOf({ epoch, epochs }: StepView): string {
  return `epoch ${Math.floor(epoch) + 1}/${epochs}`;
}

/** As wide for the first step as for the last. */
function stepOf({ step, totalSteps }: StepView): string {
  const total = String(totalSteps);
  return `${String(step + 1).padStart(total.length)}/${total}`;
}

/** Loss terms by name; nothing for a single one, which is the loss itself. */
function termsOf({ scalars }: StepView): string[] {
  const terms = Object.entries(scalars).filter(([name]) => name.startsWith("loss/"));
  return terms.length < 2
    ? []
    : terms.map(([name, value]) => `${name.slice("loss/".length)} ${figure(value)}`);
}

export function eta(seconds: number): string {
  return `${duration(seconds)} left`;
}

export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

/** Four digits, as wide while it changes. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size >= 1000) return String(Math.round(value));
  return value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3);
}
