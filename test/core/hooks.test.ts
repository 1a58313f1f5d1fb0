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

/** Passes for whatever goes through a waterfall but `views`: a tensor, and an output of the backbone. */
const anyValue = {
  shape: [2, 3, 4],
  dtype: "float32",
  grid: {},
  block: () => {},
  norm: () => {},
  by: [] as string[],
};

const group = (name: string) => ({ group: name, count: 1, size: 8, scale: [1, 1], ratio: [1, 1], flip: 0 });

/** Any hook, called with a first value. */
const call = (hooks: Hooks, name: (typeof sync)[number], value: unknown = []) =>
  (hooks[name].call as (...args: unknown[]) => unknown)(value, { pass: { owner: "a" } });
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
    const groups = createHooks();
    tap(groups, "views", "a", (views) => [...(views as unknown[]), group("a")]);
    tap(groups, "views", "b", (views) => [...(views as unknown[]), group("b")]);
    assert.deepEqual(call(groups, "views", []), [group("a"), group("b")]);
    for (const name of waterfalls.slice(1)) {
      const hooks = createHooks();
      const by = (plugin: string) => (value: unknown) => ({
        ...(value as typeof anyValue),
        by: [...(value as typeof anyValue).by, plugin],
      });
      tap(hooks, name, "a", by("a"));
      tap(hooks, name, "b", by("b"));
      assert.deepEqual((call(hooks, name, anyValue) as typeof anyValue).by, ["a", "b"], name);
    }
  });

  it("say which there are where a name is none", () => {
    const hooks = createHooks() as unknown as Record<string, Hooks["loss"]>;
    const mistake = () => withScope("typing/apply", () => hooks["losses"]!.tap("typing", () => {}));
    assert.throws(mistake, (error: RelataError) => {
      assert.equal(error.code, "HOOK_UNKNOWN");
      assert.equal(error.message, 'plugin "typing" taps "losses", which is no hook. Did you mean "loss"?');
      assert.match(error.fix, /views, setup, augment, .*, done$/);
      return true;
    });
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

    const tensor = (...shape: number[]) => ({ shape, dtype: "float32" });
    for (const [name, returned, words] of [
      ["views", group("a"), ["an object", "an array of view groups"]],
      ["views", [group("a"), group("a")], ["an array", 'one group named "a"']],
      ["augment", tensor(2, 3), ["[2, 3]", "[2, 3, 4]"]],
      ["embed", tensor(2, 2, 4), ["[2, 2, 4]", "[2, 3, 4]", "of student/global"]],
      ["embed", 1, ["returned 1", "[2, 3, 4]"]],
      ["tokens", tensor(2, 2, 4), ["[2, 2, 4]", "[2, 3, 4]"]],
      ["tokens of its own", tensor(2, 2, 8), ["[2, 2, 8]", "[2, T, 4]"]],
      ["tokens of its own", tensor(1, 3, 4), ["[1, 3, 4]", "[2, T, 4]"]],
      ["tokens of its own", tensor(2, 12), ["[2, 12]", "[2, T, 4]"]],
      ["forward", tensor(2, 3, 4), ["[2, 3, 4]", "a BackboneOutput"]],
      ["forward", { ...anyValue, block: undefined }, ["[2, 3, 4]", "a BackboneOutput"]],
    ] as const) {
      it(`${name} refuses ${JSON.stringify(returned)}, with the name of the tap that returned it`, () => {
        const hooks = createHooks();
        const hook = name === "tokens of its own" ? "tokens" : name;
        for (const plugin of ["good", "wrong", "later"])
          tap(hooks, hook, plugin, (value) => (plugin === "wrong" ? returned : value));
        const start = name === "views" ? [] : anyValue;
        const context = { pass: { key: "student/global", owner: hook === name ? "later" : "wrong" } };
        assert.throws(
          () => (hooks[hook].call as (...args: unknown[]) => unknown)(start, context),
          (error: RelataError) => {
            assert.equal(error.code, "HOOK_SHAPE");
            for (const word of [...words, `plugin "wrong"`, `"${hook}"`])
              assert.ok(error.message.includes(word), error.message);
            return true;
          },
        );
      });
    }

    it("tokens may be fewer or more in a plugin's own pass", () => {
      for (const count of [1, 9]) {
        const hooks = createHooks();
        tap(hooks, "tokens", "a", () => tensor(2, count, 4));
        assert.deepEqual(call(hooks, "tokens", anyValue), tensor(2, count, 4));
      }
    });

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

    it("but leave relata's own errors as they are, and add where they came from", async () => {
      const own = errors.noLoss();
      const hooks = createHooks();
      const fail = () => {
        throw own;
      };
      hooks.loss.tap("a", fail);
      hooks.setup.tap("a", fail);
      assert.throws(() => hooks.loss.call(sink, lossContext), own);
      await assert.rejects(hooks.setup.promise(setup), own);
      assert.equal(own.where, "a/loss");
      const told = `NO_LOSS: ${own.message}\n  in a/loss\n  fix: ${own.fix}`;
      assert.equal(String(own), told);
      assert.ok(own.stack!.startsWith(`${told}\n    at `), own.stack);
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
