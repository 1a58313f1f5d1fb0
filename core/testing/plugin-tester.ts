/**
 * relata/testing: the tests that every plugin should pass, in a few lines.
 *
 * @example
 * import { PluginTester } from "relata/testing";
 * import myRelation from "../index.ts";
 *
 * PluginTester.run(myRelation, {
 *   valid: [{}, { weight: 2 }],
 *   invalid: [{ options: { weight: -1 }, path: "weight" }],
 * });
 */
import assert from "node:assert/strict";
import type { ViewGroupSpec } from "../contexts.ts";
import type { PluginDefinition, PluginUse } from "../plugin.ts";
import { RelataError } from "../errors.ts";
import { PLUGIN_NAME } from "../plugin-name.ts";
import { checkGolden, checks, type Subject } from "./checks.ts";
import { globalViews, localViews } from "./tiny-run.ts";

/** What a plugin is tested with. */
export interface PluginCases<O> {
  /** Options that train, one at least; each is put through every check. */
  readonly valid: readonly O[];
  /** Options that are refused, and the key that is told. */
  readonly invalid: readonly { readonly options: unknown; readonly path: string }[];
  /** Plugins that train beside it, where it has no loss of its own. */
  readonly beside?: readonly PluginUse[];
  /** Classes that the images are labelled with (default: there are no labels). */
  readonly labels?: number;
  /** What the networks see (default: two global views of 2 x 2 patches and two local ones of 1). */
  readonly views?: readonly ViewGroupSpec[];
  /** Samples of a batch (default 2). More, where they are compared or normalised with each other. */
  readonly batchSize?: number;
  /**
   * Outputs of the first step with some options, made once by an independent implementation: by name ("loss/<plugin>",
   * "gradient/backbone.norm.bias"), and how far off they may be, of their largest value.
   */
  readonly golden?: {
    readonly options: O;
    readonly outputs: Readonly<Record<string, readonly number[]>>;
    readonly tolerance: number;
  };
  /** It normalises with the batch at hand, so that two halves of a batch are not the whole (default: false). */
  readonly batchStatistics?: boolean;
}

/** A test runner's `describe` and `it`; mocha's, Jest's, Vitest's and node:test's fit. */
export interface Runner {
  describe(title: string, body: () => void): unknown;
  it(title: string, body: () => Promise<void> | void): unknown;
}

export const PluginTester = {
  /** The runner's own by default: the global `describe` and `it`. Set it for others. */
  runner: undefined as Runner | undefined,

  /** Declares the tests of a plugin. Throws Error for cases that test nothing, or twice. */
  run<D extends PluginDefinition>(plugin: D, cases: PluginCases<NonNullable<Parameters<D>[0]>>): void {
    const { valid, invalid, golden, beside = [], views = [globalViews, localViews], batchSize = 2 } = cases;
    const { describe, it } = PluginTester.runner ?? (globalThis as unknown as Runner);
    const { manifest } = plugin;
    requireCases(manifest.name, valid, invalid);
    if (golden && Object.keys(golden.outputs).length === 0)
      throw new Error(`PluginTester: ${manifest.name} has golden values of no output`);
    const subject = (options: unknown): Subject => ({
      method: [plugin(deepFreeze(structuredClone(options)) as object), ...beside],
      views,
      batchSize,
      labels: cases.labels,
      batchStatistics: cases.batchStatistics ?? false,
    });
    describe(`plugin ${manifest.name}`, () => {
      it("has a name in lower case with dashes, and says in a line what it is", () => {
        assert.match(manifest.name, PLUGIN_NAME);
        assert.match(manifest.summary, /^\S.*\S$/);
      });

      it("refuses an option that it does not know", () => {
        const { success } = manifest.options.safeParse({ ...(valid[0] as object), notAnOption: 1 });
        assert.ok(!success, "make its options a z.strictObject");
      });

      for (const { options, path } of invalid) {
        it(`refuses ${JSON.stringify(options)}`, () => {
          const { error } = manifest.options.safeParse(options);
          assert.ok(error, "they are accepted");
          assert.deepEqual(
            error.issues.map((issue) => issue.path.join(".")),
            [path],
          );
        });
      }

      for (const options of valid) {
        describe(`with ${JSON.stringify(options)}`, () => {
          const applicable = checks.filter(({ applies }) => applies?.(subject(options)) ?? true);
          const untold = toldOnce();
          for (const { title, run } of applicable)
            it(title, () => untold(title, () => run(subject(options))));
        });
      }

      if (golden) {
        it(`gives the golden values with ${JSON.stringify(golden.options)}`, () =>
          checkGolden(subject(golden.options), golden.outputs, golden.tolerance));
      }
    });
  },
};

/** Runs checks of the same options: the coded error that one of them ends with is not told again by those after it. */
function toldOnce(): (title: string, run: () => Promise<void>) => Promise<void> {
  let first: { readonly title: string; readonly told: string } | undefined;
  return async (title, run) => {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof RelataError)) throw error;
      if (first?.told === String(error)) assert.fail(`${error.code} again: see "${first.title}"`);
      first ??= { title, told: String(error) };
      throw error;
    }
  };
}

function requireCases(name: string, valid: readonly unknown[], invalid: readonly unknown[]): void {
  if (valid.length === 0) throw new Error(`PluginTester: ${name} has no valid options to test`);
  for (const cases of [valid, invalid]) {
    const seen = cases.map((one) => JSON.stringify(one));
    const twice = seen.find((one, i) => seen.indexOf(one) !== i);
    if (twice !== undefined) throw new Error(`PluginTester: ${name} has the case ${twice} twice`);
  }
}

/** A plugin that changes its options is found out. */
function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
