/** Parts of tests of the step, beside the tiny run that plugins are tested in. */
import type { Pass, PassSpec, SetupContext } from "../../../core/contexts.ts";
import { RelataError } from "../../../core/errors.ts";
import type { Hooks } from "../../../core/hooks.ts";
import { definePlugin, tf, z, type PluginUse } from "../../../core/plugin.ts";

export * from "../../../core/testing/tiny-run.ts";

/** A plugin of one function, without options. */
export function plugin(name: string, apply: (hooks: Hooks, name: string) => void): PluginUse {
  return definePlugin(
    { name, api: "^1", summary: "made by a test", options: z.strictObject({}) },
    (hooks, context) => apply(hooks, context.name),
  )();
}

/** A plugin with a student's pass over the global views. */
export function onStudent(
  name: string,
  outputs: PassSpec["outputs"],
  apply: (hooks: Hooks, pass: Pass, setup: SetupContext) => void,
): PluginUse {
  return plugin(name, (hooks) => {
    hooks.setup.tap(name, (setup) => {
      apply(hooks, setup.pass({ network: setup.network("student"), views: "global", outputs }), setup);
    });
  });
}

/** A plugin that only declares. */
export function declares(name: string, setup: (context: SetupContext) => void): PluginUse {
  return plugin(name, (hooks) => hooks.setup.tap(name, setup));
}

/** A method of one line: the student's class tokens are drawn to 1. */
export const learnsOnes = plugin("ones", (hooks, name) => {
  hooks.setup.tap(name, (setup) => {
    const pass = setup.pass({
      network: setup.network("student"),
      views: "global",
      outputs: { cls: true },
    });
    hooks.loss.tap(name, (losses, { output }) =>
      losses.add(name, 1, tf.mean(tf.square(tf.sub(output(pass).clsToken, 1)))),
    );
  });
});

/** For assert.rejects and assert.throws: the code, and words of the message. */
export function coded(code: string, ...words: readonly string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof RelataError &&
    error.code === code &&
    words.every((word) => error.message.includes(word));
}
