/** The health of a run: signals held to limits, and what is told where they are beyond. Knows no method. */
import { didYouMean } from "../config/did-you-mean.ts";
import type { HealthContext, HealthLimit, HealthRule, Progress, ScheduleHandle } from "../contexts.ts";
import { number } from "../report/format.ts";

/** A rule on any name of the log. */
export interface WatchedRule extends HealthRule {
  /** Values that the signal's median is over (default: the monitor's). */
  readonly window?: number;
}

export interface HealthOptions {
  /** Updates whose median is judged. */
  readonly window: number;
  /** Nothing is judged before this step. */
  readonly fromStep: number;
  /** What `notes` gave before a run was resumed. */
  readonly notes?: HealthNotes;
}

/** All that a monitor knows, as a checkpoint keeps it. */
export interface HealthNotes {
  /** By signal. */
  readonly recent: Readonly<Record<string, RecentNotes>>;
  /** By the limit's name. */
  readonly standing: Readonly<Record<string, Standing>>;
}

interface RecentNotes {
  /** The latest. */
  readonly values: readonly number[];
  /** How many values came since judging began. */
  readonly judged: number;
  /** Median over the first updates. */
  readonly initial?: number;
  /** Median over the first ones that were judged. */
  readonly settled?: number;
}

/** What is known of the update that is judged. */
export interface JudgedStep extends Progress {
  /** By name in the log. */
  readonly scalars: Readonly<Record<string, number>>;
  /** By full name. */
  readonly schedules: Readonly<Record<string, number>>;
}

export interface Judgement {
  /** The limits that signals were held to, by their names in the log. */
  readonly limits: Readonly<Record<string, number>>;
  /** What has just become unhealthy, in words. */
  readonly warnings: readonly string[];
}

const SIDES = ["above", "below"] as const;
export type HealthSide = (typeof SIDES)[number];

/** Under which a limit is logged: "health/above/dino.targetEntropy". */
export const limitName = (signal: string, side: HealthSide): string => `health/${side}/${shortName(signal)}`;

/** As a person reads it: without what all metrics' names begin with. */
const shortName = (signal: string): string => signal.replace(/^metric\//, "");

/** The latest values of a signal. */
class Recent {
  private readonly values: number[];
  private readonly size: number;
  private judged: number;
  initial: number | undefined;
  settled: number | undefined;

  constructor(size: number, { values, judged, initial, settled }: RecentNotes = { values: [], judged: 0 }) {
    this.size = size;
    // The window may have been another.
    this.values = values.slice(-size);
    this.judged = judged;
    this.initial = initial;
    this.settled = settled;
  }

  get notes(): RecentNotes {
    const { values, judged, initial, settled } = this;
    return { values: [...values], judged, initial, settled };
  }

  add(value: number, judging: boolean): void {
    this.values.push(value);
    if (this.values.length > this.size) this.values.shift();
    if (judging) this.judged++;
    const { median } = this;
    this.initial ??= median;
    if (this.judged >= this.size) this.settled ??= median;
  }

  /** Undefined until there are enough values. */
  get median(): number | undefined {
    if (this.values.length < this.size) return undefined;
    return this.values.toSorted((a, b) => a - b)[this.size >> 1];
  }
}

/** Whether a rule's warning stands, and for how many judgements in a row its signal was well again. */
interface Standing {
  warned: boolean;
  well: number;
}

export class HealthMonitor {
  private readonly rules: readonly WatchedRule[];
  private readonly options: HealthOptions;
  private readonly recent: ReadonlyMap<string, Recent>;
  private readonly standing = new Map<string, Standing>();
  private sought = false;

  constructor(rules: readonly WatchedRule[], options: HealthOptions) {
    this.rules = rules;
    this.options = options;
    this.recent = new Map(
      rules.map(({ signal, window = options.window }) => [
        signal,
        new Recent(window, options.notes?.recent[signal]),
      ]),
    );
    for (const [limit, standing] of Object.entries(options.notes?.standing ?? {}))
      this.standing.set(limit, { ...standing });
  }

  /** What a resumed run's monitor has to know. */
  get notes(): HealthNotes {
    return {
      recent: Object.fromEntries([...this.recent].map(([signal, { notes }]) => [signal, notes])),
      standing: Object.fromEntries([...this.standing].map(([limit, standing]) => [limit, { ...standing }])),
    };
  }

  /** Takes the figures of an update, or of an evaluation, and judges the signals that are among them. */
  judge(step: JudgedStep): Judgement {
    const judging = step.step >= this.options.fromStep;
    for (const [signal, recent] of this.recent) {
      const value = step.scalars[signal];
      if (value !== undefined && Number.isFinite(value)) recent.add(value, judging);
    }
    if (!judging) return { limits: {}, warnings: [] };
    const limits: Record<string, number> = {};
    const warnings = this.missing(step);
    for (const rule of this.rules) {
      if (step.scalars[rule.signal] === undefined) continue;
      for (const side of SIDES) {
        const context = this.contextOf(rule, step);
        const limit = limitAt(rule[side], context);
        if (limit === undefined) continue;
        limits[limitName(rule.signal, side)] = limit;
        const problem = this.hold(rule, side, limit, context);
        if (problem !== undefined) warnings.push(problem);
      }
    }
    return { limits, warnings };
  }

  /** Once: rules whose signal is nowhere among the figures, as where it is misspelt. */
  private missing({ scalars }: JudgedStep): string[] {
    if (this.sought || scalars["loss"] === undefined) return [];
    this.sought = true;
    return [...this.recent].flatMap(([signal, { initial }]) => {
      // What a phase brings later is near to nothing else of its plugin.
      const own = signal.slice(0, signal.indexOf(".") + 1);
      const known = Object.keys(scalars).filter((name) => own !== "" && name.startsWith(own));
      const nearest = didYouMean(shortName(signal), known.map(shortName));
      if (known.includes(signal) || initial !== undefined || nearest === undefined) return [];
      return `the health of "${shortName(signal)}" is not watched: no step gives it. Did you mean "${nearest}"?`;
    });
  }

  private contextOf({ signal }: WatchedRule, { step, epoch, schedules }: JudgedStep): HealthContext {
    const { initial, settled } = this.recent.get(signal)!;
    return {
      step,
      epoch,
      initial,
      settled,
      value: ({ name }: ScheduleHandle) => schedules[name]!,
    };
  }

  /** What to tell, where the signal has just got beyond the limit. */
  private hold(
    rule: WatchedRule,
    side: HealthSide,
    limit: number,
    context: HealthContext,
  ): string | undefined {
    const { window = this.options.window } = rule;
    const key = limitName(rule.signal, side);
    const standing = this.standing.get(key) ?? { warned: false, well: 0 };
    this.standing.set(key, standing);
    const value = this.recent.get(rule.signal)!.median;
    if (value === undefined) return undefined;
    if (side === "above" ? value <= limit : value >= limit) {
      standing.well++;
      // A signal that hovers at its limit is told of once.
      if (standing.well >= window) standing.warned = false;
      return undefined;
    }
    standing.well = 0;
    if (standing.warned) return undefined;
    standing.warned = true;
    const over = window > 1 ? ` over ${window} updates` : "";
    const figures = `${shortName(rule.signal)} is ${number(value)}, ${side} ${number(limit)},${over} up to epoch ${number(context.epoch)}`;
    const remedy = typeof rule.remedy === "function" ? rule.remedy(context) : rule.remedy;
    return `${rule.problem} (${figures}): ${remedy}`;
  }
}

function limitAt(limit: HealthLimit | undefined, context: HealthContext): number | undefined {
  return typeof limit === "function" ? limit(context) : limit;
}
