/** What every engine does: the tests of graph-engine.test.ts and eager-engine.test.ts. */
import { describeFirstNonFinite } from "./contract/first-non-finite.ts";
import { describeGates } from "./contract/gates.ts";
import { describeOptimizer } from "./contract/optimizer.ts";
import { describePrograms } from "./contract/programs.ts";
import { describeVariables } from "./contract/variables.ts";
import { describeWrites } from "./contract/writes.ts";
import type { EngineKind } from "../../support/engines.ts";

export function describeEngine(kind: EngineKind): void {
  describe(`an engine, ${kind}`, () => {
    describeVariables(kind);
    describePrograms(kind);
    describeWrites(kind);
    describeGates(kind);
    describeOptimizer(kind);
    describeFirstNonFinite(kind);
  });
}
