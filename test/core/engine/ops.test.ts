/** Which of tfjs's ops capture and which differentiate: the table behind docs/ops.md. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import { RelataError } from "../../../core/errors.ts";
import { withScope } from "../../../core/scopes.ts";
import { makeEngine } from "../../support/engines.ts";
import { elementwise } from "./op-cases/elementwise.ts";
import { spatial } from "./op-cases/images.ts";
import { mathematics } from "./op-cases/mathematics.ts";
import { isFloat, direction, runCases, weight, type CaseResult } from "./op-cases/run-cases.ts";
import { renderLists } from "./op-cases/render-page.ts";
import { limits, reasons, refused } from "./op-cases/refused.ts";
import { shapes } from "./op-cases/shapes.ts";
import type { OpCase } from "./op-cases/op-case.ts";

const cases: readonly OpCase[] = [...elementwise, ...mathematics, ...shapes, ...spatial];
const groups = [...new Set(cases.map(({ group }) => group))];
const ofGroup = (name: string) => cases.filter(({ group }) => group === name);

/** Of what an op with float inputs gives, relative to the largest value. */
const FORWARD_TOLERANCE = 1e-5;
const GRADIENT_TOLERANCE = 1e-4;
/** Differences of float32 values are that exact. */
const DIFFERENCE_TOLERANCE = 5e-3;
const STEP = 4e-3;

function deviation(got: readonly number[][], want: readonly number[][]): number {
  if (got.flat().length !== want.flat().length) return Infinity;
  const scale = Math.max(1, ...want.flat().map(Math.abs));
  return Math.max(0, ...want.flatMap((y, k) => y.map((v, i) => Math.abs(v - got[k]![i]!) / scale)));
}

const weightedSum = ({ outputs }: CaseResult) =>
  outputs.reduce((sum, y, k) => sum + y.reduce((part, v, i) => part + v * weight(k, i), 0), 0);

/** The slope of the weighted sum along the direction, from four forward runs on the cpu backend. */
async function slopes(engine: Engine, some: readonly OpCase[]): Promise<number[]> {
  const at = async (shift: number) =>
    (await runCases(engine, some, { gradients: false, shift })).map((result) => weightedSum(result));
  const [back2, back, ahead, ahead2] = [
    await at(-2 * STEP),
    await at(-STEP),
    await at(STEP),
    await at(2 * STEP),
  ];
  return some.map((_, c) => (8 * (ahead[c]! - back[c]!) - (ahead2[c]! - back2[c]!)) / (12 * STEP));
}

function alongDirection(
  { inputs }: OpCase,
  gradients: readonly number[][],
): { slope: number; scale: number } {
  const positions = inputs.flatMap((sample, n) => (isFloat(sample) ? [n] : []));
  const parts = gradients.flatMap((g, k) => g.map((v, i) => v * direction(positions[k]!, i)));
  return {
    slope: parts.reduce((sum, part) => sum + part, 0),
    scale: Math.max(
      1,
      parts.reduce((sum, part) => sum + Math.abs(part), 0),
    ),
  };
}

/** What of a case is not as the table says. */
function problems(oneCase: OpCase, captured: CaseResult, eager: CaseResult, slope: number): string[] {
  const found: string[] = [];
  const check = (holds: boolean, problem: string) => holds || found.push(`${oneCase.op}: ${problem}`);
  const forward = deviation(captured.outputs, eager.outputs);
  check(captured.outputs.length > 0, "gives nothing");
  check(forward <= FORWARD_TOLERANCE, `captured and cpu differ by ${forward}`);
  const { gradients } = captured;
  if (oneCase.gradient === "none") {
    check(gradients === undefined, "has a gradient after all");
    return found;
  }
  if (!gradients || !eager.gradients) return [...found, `${oneCase.op}: has no gradient`];
  const backward = deviation(gradients, eager.gradients);
  const agree = backward <= GRADIENT_TOLERANCE;
  check(agree !== oneCase.wrongOnCpu, `gradients captured and on cpu differ by ${backward}`);
  const isZero = gradients.flat().every((v) => v === 0);
  check(isZero === (oneCase.gradient === "zero"), `its gradient is ${isZero ? "" : "not "}zero`);
  if (isZero) return found;
  const along = alongDirection(oneCase, gradients);
  const error = Math.abs(along.slope - slope) / along.scale;
  check(
    error <= DIFFERENCE_TOLERANCE,
    `its gradient's slope ${along.slope} is off by ${error} from ${slope}`,
  );
  return found;
}

/** The names that tfjs gives its ops as functions, and the asynchronous ones, which have none. */
function opsOfTfjs(): string[] {
  const isOp = (value: unknown, name: string): boolean =>
    typeof value === "function" && (value.name.endsWith("__op") || name.endsWith("Async"));
  return Object.entries(tf).flatMap(([name, value]: [string, unknown]) => {
    if (isOp(value, name)) return [name];
    if (!namespaces.includes(name)) return [];
    return Object.entries(value as object).flatMap(([inner, f]) =>
      isOp(f, inner) ? [`${name}.${inner}`] : [],
    );
  });
}

const namespaces = ["fused", "image", "linalg", "losses", "signal", "sparse", "spectral", "string"];
const synonyms = ["spectral.fft", "spectral.ifft", "spectral.rfft", "spectral.irfft"];

describe("tfjs's ops", () => {
  let captured: Engine;
  let cpu: Engine;
  before(async () => {
    captured = await makeEngine("captured");
    cpu = await makeEngine("eager on cpu");
  });
  after(() => {
    captured.close();
    cpu.close();
  });

  it("are each in the table once: they capture, or they do not", () => {
    const capturing = new Set(cases.map(({ op }) => op));
    const others = refused.map(({ op }) => op);
    const table = [...capturing, ...others];
    assert.deepEqual(table, [...new Set(table)]);
    const missing = opsOfTfjs().filter((op) => !table.includes(op) && !synonyms.includes(op));
    assert.deepEqual(missing, []);
  });

  describe("captured, give what the cpu backend gives, and the gradients that the table says", () => {
    for (const name of groups) {
      it(name, async () => {
        const some = ofGroup(name);
        const got = await runCases(captured, some, { gradients: true });
        const want = await runCases(cpu, some, { gradients: true });
        const slope = await slopes(cpu, some);
        const all = some.flatMap((oneCase, c) => problems(oneCase, got[c]!, want[c]!, slope[c]!));
        assert.deepEqual(all, []);
      });
    }
  });

  describe("that do not capture are refused, with the plugin's name", () => {
    for (const { op, reason, run } of refused) {
      it(op, async () => {
        const results: unknown[] = [];
        const trace = () => {
          const result = withScope("some-plugin/loss", run);
          results.push(result);
          if (result instanceof Promise) result.catch(() => {}); // looked at below
        };
        const failed = captured.program(op, trace).then(() => Promise.all(results));
        await assert.rejects(failed, (error: unknown) => {
          assert.ok(error instanceof RelataError, String(error));
          assert.equal(error.code, reasons[reason].code);
          assert.match(error.message, /"some-plugin".*some-plugin\/loss/);
          return true;
        });
      });
    }
  });

  describe("have limits", () => {
    for (const { op, text, inputs, run, outcome } of limits) {
      it(`${op}: ${text}`, async () => {
        const limited: OpCase = { op, group: "", gradient: "yes", inputs, run, wrongOnCpu: false };
        const result = runCases(captured, [limited], { gradients: true });
        if (outcome === "UNDECLARED_CONSTANT") return assert.rejects(result, { code: outcome });
        const [got] = await result;
        if (outcome === "no gradient") return assert.equal(got!.gradients, undefined);
        const [want] = await runCases(cpu, [limited], { gradients: true });
        const [slope] = await slopes(cpu, [limited]);
        const [problem, ...more] = problems(limited, got!, want!, slope!);
        assert.match(problem!, /its gradient's slope .* is off/);
        assert.deepEqual(more, []);
      });
    }
  });

  it("are listed in docs/ops.md as in the table", () => {
    const page = readFileSync(new URL("../../../docs/ops.md", import.meta.url), "utf8");
    const lists = page.slice(page.indexOf("\n## ") + 1);
    assert.equal(lists, renderLists(cases));
  });
});
