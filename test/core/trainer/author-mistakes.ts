/** Plugins that make a mistake, and tests that hold what their author is told of it. */
import assert from "node:assert/strict";
import type { LossContext, LossSink, Pass, SetupContext } from "../../../core/contexts.ts";
import { RelataError } from "../../../core/errors.ts";
import type { Hooks } from "../../../core/hooks.ts";
import { tf, type PluginUse } from "../../../core/plugin.ts";
import { makeEngine } from "../../support/engines.ts";
import { at, learnsOnes, onStudent, plugin, tinyBatch, tinyTraining } from "./tiny.ts";

/** What only an author without types writes. */
export const untyped = (value: unknown) => value as never;

/** The mistake is in acme's loss hook, which has the student's class tokens [4, 32]. */
export function inLoss(
  mistake: (x: tf.Tensor2D, losses: LossSink, step: LossContext, pass: Pass) => unknown,
): PluginUse {
  return onStudent("acme", { cls: true }, (hooks, pass) => {
    hooks.loss.tap("acme", (losses, step) => void mistake(step.output(pass).clsToken!, losses, step, pass));
  });
}

/** The mistake is a loss of the class tokens. */
export const lossOf = (value: (x: tf.Tensor2D) => tf.Tensor): PluginUse =>
  inLoss((x, losses) => losses.add("x", 1, tf.mean(value(x))));

export const inSetup = (mistake: (setup: SetupContext, hooks: Hooks) => unknown): PluginUse =>
  plugin("acme", (hooks) => hooks.setup.tap("acme", (setup) => void mistake(setup, hooks)));

export const taps = (hook: keyof Hooks, tap: (...args: never[]) => unknown, name = "acme"): PluginUse =>
  plugin(name, (hooks) => hooks[hook].tap(name, tap as never));

export interface Told {
  readonly code: string;
  /** Where the mistake is, "plugin/hook". */
  readonly where: string;
  /** Words of the message. */
  readonly says: readonly string[];
  readonly fix: RegExp;
}

export function assertTold(error: unknown, { code, where, says, fix }: Told): void {
  assert.ok(error instanceof RelataError, `not coded: ${(error as Error).stack}`);
  const told = String(error);
  assert.equal(error.code, code, told);
  const [name, hook] = where.split("/") as [string, string];
  const named = told.includes(where) || (told.includes(`"${name}"`) && told.includes(`"${hook}"`));
  assert.ok(named, `${where} is not in: ${told}`);
  for (const word of says) assert.ok(error.message.includes(word), `${word} is not in: ${told}`);
  assert.match(error.fix, fix);
}

export type Kind = "captured" | "eager on cpu";
export const kinds = ["captured", "eager on cpu"] as const;

/** How a tiny run with these plugins ends: two steps, and the checks that a run makes. */
export async function endOf(kind: Kind, plugins: readonly PluginUse[]): Promise<unknown> {
  const engine = await makeEngine(kind);
  try {
    const training = await tinyTraining(engine, [learnsOnes, ...plugins]);
    for (const step of [0, 1]) {
      const batch = tinyBatch(training, step);
      const outcome = await training.step("train", batch, at(step));
      if (!outcome.finite) return await training.notFinite("train", at(step), outcome);
      training.hooks.afterStep.call({ ...at(step), scalars: outcome.scalars, imagesPerSecond: 1 });
      training.verify();
    }
    return new Error("the run went well");
  } catch (error) {
    return error;
  } finally {
    engine.close();
  }
}

/** A test by engine that the author is told of a mistake. `told` is "CODE plugin/hook". */
export function tells(
  what: string,
  mistake: PluginUse | readonly PluginUse[],
  told: string,
  says: readonly string[],
  fix: RegExp,
  engines: readonly Kind[] = ["eager on cpu"],
): void {
  const [code, where] = told.split(" ") as [string, string];
  for (const kind of engines) {
    it(`${what}, ${kind}`, async () =>
      assertTold(await endOf(kind, [mistake].flat()), { code, where, says, fix }));
  }
}
