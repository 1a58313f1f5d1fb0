import assert from "node:assert/strict";
import { setImmediate as later } from "node:timers/promises";
import type { EpochContext, LossContext, LossSink, SetupContext, StepResult } from "../../core/contexts.ts";
import { errors, RelataError } from "../../core/errors.ts";
import { createHooks, type Hooks } from "../../core/hooks.ts";
import { currentScope, withScope } from "../../core/scopes.ts";

// Taps of these tests do not look at what they are given.
const sink = {} as LossSink;
const lossContext = {} as LossContext;
const setup = {} as SetupContext;
const epoch = {} as EpochContext;

const sync = [
  "views",
  "augment",
  "embed",
  "tokens",
  "forward",
  "relation",
  "loss",
  "update",
  "afterStep",
] as const;
const waterfalls = ["views", "augment", "embed", "tokens", "forward"] as const;
const asynchronous = ["setup", "afterEpoch", "done"] as const;

/** Any hook, called with a first value. */
const call = (hooks: Hooks, name: (typeof sync)[number], value: unknown = []) =>
  (hooks[name].call as (...args: unknown[]) => unknown)(value, {});
const tap = (hooks: Hooks, name: keyof Hooks, plugin: string, run: (...args: unknown[]) => unknown) =>
  (hooks[name].tap as (name: string, run: unknown) => void)(plugin, run);

describe("hooks", () => {
  it("are in execution order, cannot be replaced, and know their names", () => {
    const hooks = createHooks();
    assert.deepEqual(Object.keys(hooks), [
      ...["views", "setup", "augment", "embed", "tokens", "forward", "relation", "loss", "update"],
      ...["afterStep", "afterEpoch", "done"],
    ]);
    assert.ok(Object.isFrozen(hooks));
    for (const [name, hook] of Object.entries<{ name?: string }>({ ...hooks })) assert.equal(hook.name, name);
  });

  it("belong to one run", () => {
    const hooks = createHooks();
    tap(hooks, "loss", "a", () => {});
    assert.ok(hooks.loss.isUsed());
    assert.ok(!createHooks().loss.isUsed());
  });

  it("pass the value of a waterfall from tap to tap", () => {
    for (const name of waterfalls) {
      const hooks = createHooks();
      tap(hooks, name, "a", (value) => [...(value as string[]), "a"]);
      tap(hooks, name, "b", (value) => [...(value as string[]), "b"]);
      assert.deepEqual(call(hooks, name, ["start"]), ["start", "a", "b"], name);
    }
  });
});

describe("hook guards", () => {
  describe("on synchronous hooks", () => {
    for (const name of sync) {
      it(`${name} refuses tapPromise and tapAsync with the plugin's name`, () => {
        const hook = createHooks()[name] as unknown as Record<string, (...args: unknown[]) => void>;
        const refused = { code: "HOOK_ASYNC_TAP", message: new RegExp(`plugin "slow" taps .* "${name}"`) };
        assert.throws(() => hook["tapPromise"]!("slow", async () => {}), refused);
        assert.throws(() => hook["tapAsync"]!({ name: "slow" }, () => {}), refused);
      });

      it(`${name} refuses an async function`, async () => {
        const hooks = createHooks();
        tap(hooks, name, "slow", async () => {
          throw new Error("must not surface as an unhandled rejection");
        });
        assert.throws(() => call(hooks, name), { code: "HOOK_ASYNC_TAP", message: /"slow"/ });
        await later();
      });
    }

    for (const name of waterfalls) {
      it(`${name} refuses a tap that returns nothing`, () => {
        const hooks = createHooks();
        tap(hooks, name, "forgetful", () => {});
        assert.throws(() => call(hooks, name), {
          code: "HOOK_RETURNED_NOTHING",
          message: `plugin "forgetful" returned nothing from "${name}", whose value is passed on from tap to tap`,
        });
      });
    }

    it("lets the others return what they like", () => {
      const hooks = createHooks();
      hooks.afterStep.tap("a", (() => 3) as unknown as () => void);
      hooks.afterStep.call({} as StepResult);
    });
  });

  describe("on asynchronous hooks", () => {
    for (const name of asynchronous) {
      it(`${name} waits for every kind of tap, one after the other`, async () => {
        const hooks = createHooks();
        const hook = hooks[name] as Hooks["done"];
        const events: string[] = [];
        const work = async (who: string) => {
          events.push(`${who} starts`);
          await later();
          events.push(`${who} ends`);
        };
        hook.tap("a", (() => work("a")) as unknown as () => void);
        hook.tapPromise("b", () => work("b"));
        hook.tapAsync("c", (_, done) => void work("c").then(() => done(null)));
        hook.tap("d", () => void events.push("d"));
        await hook.promise(epoch);
        const order = ["a starts", "a ends", "b starts", "b ends", "c starts", "c ends", "d"];
        assert.deepEqual(events, order);
      });
    }

    it("stop at the first tap that fails", async () => {
      const hooks = createHooks();
      hooks.done.tapPromise("a", () => Promise.reject(new Error("full disk")));
      hooks.done.tap("b", () => assert.fail("ran after a failure"));
      await assert.rejects(hooks.done.promise(epoch), { code: "PLUGIN_THREW" });
    });
  });

  describe("attribute errors", () => {
    const original = new TypeError("x is undefined");

    it("of a synchronous tap to plugin and hook", () => {
      const hooks = createHooks();
      hooks.loss.tap("broken", () => {
        throw original;
      });
      assert.throws(
        () => hooks.loss.call(sink, lossContext),
        (error) => {
          assert.ok(error instanceof RelataError);
          assert.equal(error.code, "PLUGIN_THREW");
          assert.equal(error.message, 'plugin "broken" failed in "loss": x is undefined');
          assert.equal(error.cause, original);
          return true;
        },
      );
    });

    const kinds: [kind: string, add: (hook: Hooks["setup"]) => void][] = [
      [
        "tap",
        (hook) =>
          hook.tap("broken", () => {
            throw original;
          }),
      ],
      [
        "async tap",
        (hook) =>
          hook.tap("broken", (async () => {
            throw original;
          }) as unknown as () => void),
      ],
      ["tapPromise", (hook) => hook.tapPromise("broken", () => Promise.reject(original))],
      ["tapAsync", (hook) => hook.tapAsync("broken", (_, done) => done(original))],
      [
        "throwing tapAsync",
        (hook) =>
          hook.tapAsync("broken", () => {
            throw original;
          }),
      ],
    ];
    for (const [kind, add] of kinds) {
      it(`of ${kind} on an asynchronous hook`, async () => {
        const hooks = createHooks();
        add(hooks.setup);
        const expected = {
          code: "PLUGIN_THREW",
          message: 'plugin "broken" failed in "setup": x is undefined',
          cause: original,
        };
        await assert.rejects(hooks.setup.promise(setup), expected);
      });
    }

    it("but leave relata's own errors as they are", async () => {
      const own = errors.noLoss();
      const hooks = createHooks();
      const fail = () => {
        throw own;
      };
      hooks.loss.tap("a", fail);
      hooks.setup.tap("a", fail);
      assert.throws(() => hooks.loss.call(sink, lossContext), own);
      await assert.rejects(hooks.setup.promise(setup), own);
    });
  });

  describe("name scopes", () => {
    it("are set while a tap runs, and only then", () => {
      const hooks = createHooks();
      const seen: string[] = [];
      for (const plugin of ["a", "b"]) hooks.loss.tap(plugin, () => void seen.push(currentScope()));
      withScope("outer", () => {
        hooks.loss.call(sink, lossContext);
        seen.push(currentScope());
      });
      assert.deepEqual(seen, ["a/loss", "b/loss", "outer"]);
      assert.equal(currentScope(), "core");
    });

    it("are those of the tap that runs, also when another hook is called in it, and after an error", () => {
      const hooks = createHooks();
      const seen: string[] = [];
      hooks.update.tap("inner", () => {
        seen.push(currentScope());
        throw new Error("stop");
      });
      hooks.afterStep.tap("outer", () => {
        assert.throws(() => hooks.update.call({} as never));
        seen.push(currentScope());
      });
      hooks.afterStep.call({} as StepResult);
      assert.deepEqual(seen, ["inner/update", "outer/afterStep"]);
      assert.equal(currentScope(), "core");
    });

    it("hold after each await of an asynchronous tap, also beside another run", async () => {
      const run = async (plugin: string) => {
        const seen = new Set<string>();
        const hooks = createHooks();
        hooks.setup.tapPromise(plugin, async () => {
          for (let i = 0; i < 3; i++) {
            seen.add(currentScope());
            await later();
          }
          seen.add(currentScope());
        });
        await hooks.setup.promise(setup);
        return [...seen];
      };
      assert.deepEqual(await Promise.all([run("a"), run("b")]), [["a/setup"], ["b/setup"]]);
      assert.equal(currentScope(), "core");
    });
  });
});
