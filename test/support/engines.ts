/** The three ways to run a step, for tests that compare them. */
import { createEngine } from "../../core/engine/create-engine.ts";
import type { Engine, Precision } from "../../core/engine/engine.ts";
import { ensureLibrary } from "../../core/engine/install.ts";

export const engineKinds = ["captured", "eager on tensorflow", "eager on cpu"] as const;
export type EngineKind = (typeof engineKinds)[number];

export function makeEngine(kind: EngineKind, precision: Precision = "fp32"): Promise<Engine> {
  return createEngine({
    engine: kind === "captured" ? "graph" : "eager",
    backend: kind === "eager on cpu" ? "cpu" : "tensorflow",
    device: "cpu",
    precision,
    jit: "off",
    threads: { intra: 0, inter: 0 },
    library: () => ensureLibrary({}),
  });
}
