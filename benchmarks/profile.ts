/** Where a step's time went. */
import type { NodeTiming } from "../core/engine/protos.ts";

/** A table of thread time by op, or by plugin and hook; a fused node is charged to the op that it is named after. */
export function topTimings(timings: readonly NodeTiming[], by: "op" | "scope", rows = 25): string {
  const groups = new Map<string, { microseconds: number; nodes: number }>();
  for (const { name, label, microseconds } of timings) {
    const op = /= (\w+)\(/.exec(label)?.[1] ?? label.slice(0, 30);
    const key = by === "op" ? op : name.split("/").slice(1, -1).join("/") || "core";
    const group = groups.get(key) ?? { microseconds: 0, nodes: 0 };
    groups.set(key, { microseconds: group.microseconds + microseconds, nodes: group.nodes + 1 });
  }
  const total = [...groups.values()].reduce((sum, g) => sum + g.microseconds, 0);
  return [...groups]
    .sort(([, a], [, b]) => b.microseconds - a.microseconds)
    .slice(0, rows)
    .map(([key, { microseconds, nodes }]) => {
      const share = ((100 * microseconds) / total).toFixed(1).padStart(5);
      return `${key.padEnd(36)} ${(microseconds / 1000).toFixed(1).padStart(9)} ms ${share} % ${nodes} nodes\n`;
    })
    .join("");
}
