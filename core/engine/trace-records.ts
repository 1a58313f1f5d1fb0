/** What a trace leaves behind, and the check that two traces of the same code are the same: nothing is frozen into one. */
import { errors } from "../errors.ts";
import { pluginOf } from "../scopes.ts";

/** One traced node, as the frozen check compares it. */
export interface TraceRecord {
  readonly scope: string;
  readonly op: string;
  /** Everything that must not change between traces: attributes, inputs by their `place`, constant values. */
  readonly signature: string;
  /** The DataType of its first output. */
  readonly dtype?: number;
  /** Its number among the nodes that the code made; a cast that autocast placed has none, and is not compared. */
  readonly place?: number;
}

/** @throws FROZEN_VALUE naming where they first differ */
export function compareTraces(...traces: [readonly TraceRecord[], readonly TraceRecord[]]): void {
  const placed = (records: readonly TraceRecord[]) => records.filter(({ place }) => place !== undefined);
  const [first, second] = [placed(traces[0]), placed(traces[1])];
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    const a = first[i];
    const b = second[i];
    if (a && b && a.op === b.op && a.scope === b.scope && a.signature === b.signature) continue;
    const { scope, op } = (b ?? a)!;
    const detail = a && b && a.op === b.op ? "its constants differ" : "its ops differ";
    throw errors.frozenValue(pluginOf(scope), scope, op, detail);
  }
}
