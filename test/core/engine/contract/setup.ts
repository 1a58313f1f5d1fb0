/** An engine for each test, and short ways to fill it. */
import assert from "node:assert/strict";
import type {
  Engine,
  Feeds,
  HostArray,
  Precision,
  Program,
  Trace,
  Variable,
} from "../../../../core/engine/engine.ts";
import type { TraceRecord } from "../../../../core/engine/trace-records.ts";
import { makeEngine, type EngineKind } from "../../../support/engines.ts";

/** The engine of the running test; closed after it. */
export function useEngine(kind: EngineKind, precision: Precision = "fp32"): { readonly engine: Engine } {
  const holder = {} as { engine: Engine };
  beforeEach(async () => {
    holder.engine = await makeEngine(kind, precision);
  });
  afterEach(() => holder.engine.close());
  return holder;
}

/** Declares and loads a vector, or a scalar. */
export async function loaded(
  engine: Engine,
  name: string,
  value: number | readonly number[],
): Promise<Variable> {
  const values = Float32Array.from([value].flat());
  const variable = engine.variable(name, Array.isArray(value) ? [values.length] : []);
  await engine.load([[variable, values]]);
  return variable;
}

export async function valuesOf(engine: Engine, variable: Variable): Promise<number[]> {
  const [values] = await engine.save([variable]);
  return [...values!];
}

export async function runOnce(
  engine: Engine,
  trace: Trace,
  feeds: Feeds = {},
): Promise<Record<string, HostArray>> {
  const program = await engine.program("program", trace);
  return program.run(feeds);
}

/** The same bits, so that -0 is not 0 and a NaN equals itself. */
export function assertSameBits(got: Float32Array, want: Float32Array, what?: string): void {
  const bits = ({ buffer, byteOffset, length }: Float32Array) => [
    ...new Uint32Array(buffer, byteOffset, length),
  ];
  assert.deepEqual(bits(got), bits(want), what);
}

export const f32 = (...values: number[]): Float32Array => Float32Array.from(values);

/** What the graph engine's frozen check compares: a captured program's ops in their order. */
export function recordsOf(program: Program): readonly TraceRecord[] {
  return (program as Program & { readonly captured: { readonly records: readonly TraceRecord[] } }).captured
    .records;
}
