/** Whether two sides compute the same step: how far their losses and gradient norms are apart. */
import { UsageError } from "../command.ts";
import type { PhaseRun } from "./side.ts";

type Scalars = PhaseRun["scalars"];

/** Relative differences that the rounding of a precision explains. */
const ALLOWED: Readonly<Record<string, Agreement>> = {
  fp32: { losses: 1e-4, gradNorm: 1e-3 },
  bf16: { losses: 1e-2, gradNorm: 5e-2 },
};

interface Agreement {
  readonly losses: number;
  readonly gradNorm: number;
}

export class Differences {
  /** Of each scalar, the largest so far. */
  readonly largest: Record<string, number> = {};
  private readonly allowed: Agreement;

  /** Throws UsageError for a precision of which nothing is known. */
  constructor(precision: string) {
    const allowed = ALLOWED[precision];
    if (!allowed) throw new UsageError(`--precision ${precision}: give ${Object.keys(ALLOWED).join(" or ")}`);
    this.allowed = allowed;
  }

  /** Throws RangeError where one side has a scalar that the other lacks. */
  add(one: Scalars, other: Scalars): void {
    const names = Object.keys(one);
    const [ours, theirs] = [names, Object.keys(other)].map((list) => list.toSorted().join(", "));
    if (ours !== theirs) throw new RangeError(`one side has ${ours}, the other ${theirs}`);
    for (const name of names) {
      const difference = Math.abs(one[name]! - other[name]!) / Math.abs(other[name]!);
      // NaN is the largest, and stays: it is no agreement.
      this.largest[name] = Math.max(difference, this.largest[name] ?? 0);
    }
  }

  /** What is further apart than rounding explains, in words. */
  problems(): string[] {
    return Object.entries(this.largest).flatMap(([name, difference]) => {
      const allowed = name === "gradNorm" ? this.allowed.gradNorm : this.allowed.losses;
      return difference <= allowed
        ? []
        : [`${name} differs by ${difference.toExponential(1)}, relative: at most ${allowed} is rounding`];
    });
  }
}
