/** The ways to run a step, for tests that compare them. */
import { createEngine } from "../../core/engine/create-engine.ts";
import type { Engine, Precision } from "../../core/engine/engine.ts";
import { ensureLibrary } from "../../core/engine/install.ts";

/** Compiled: captured, with every piece that is declared as fused, however small. */
export const engineKinds = ["captured", "compiled", "eager on tensorflow", "eager on cpu"] as const;
export type EngineKind = (typeof engineKinds)[number];

export function makeEngine(kind: EngineKind, precision: Precision = "fp32", fuseFrom = 0): Promise<Engine> {
  return createEngine({
    engine: kind.startsWith("eager") ? "eager" : "graph",
    backend: kind === "eager on cpu" ? "cpu" : "tensorflow",
    device: "cpu",
    precision,
    jit: kind === "compiled" ? "fused" : "off",
    fuseFrom,
    threads: { intra: 0, inter: 0 },
    library: () => ensureLibrary({}),
  });
}
