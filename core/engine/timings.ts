/** Where the thread time of a profiled program went. */
import type { NodeTiming } from "./protos.ts";

export interface TimeShare {
  readonly name: string;
  readonly microseconds: number;
  readonly nodes: number;
}

/**
 * By plugin and hook, "dino/loss", the longest first. What no plugin made is the core's. Of ops that TensorFlow fused
 * into one node the last has the whole time: the node has its name.
 */
export function timeByHook(timings: readonly NodeTiming[], plugins: readonly string[]): TimeShare[] {
  return shares(timings, ({ name }) => {
    // <program>/<plugin>/<hook>/<op>, with more in front of what TensorFlow rewrote.
    const parts = name.split("/");
    const at = parts.findIndex((part, i) => i > 0 && plugins.includes(part));
    return at < 0 ? "core" : `${parts[at]}/${parts[at + 1]}`;
  });
}

/** By TensorFlow op, as it ran: fused products are an op of their own, such as _MklNativeFusedMatMul. */
export function timeByOp(timings: readonly NodeTiming[]): TimeShare[] {
  return shares(timings, ({ label }) => /= (\w+)\(/.exec(label)?.[1] ?? label.slice(0, 30));
}

function shares(timings: readonly NodeTiming[], nameOf: (timing: NodeTiming) => string): TimeShare[] {
  const sums = new Map<string, TimeShare>();
  for (const timing of timings) {
    const name = nameOf(timing);
    const { microseconds, nodes } = sums.get(name) ?? { microseconds: 0, nodes: 0 };
    sums.set(name, { name, microseconds: microseconds + timing.microseconds, nodes: nodes + 1 });
  }
  return [...sums.values()].sort((a, b) => b.microseconds - a.microseconds);
}
