/**
 * Interceptors that every hook carries: each tap runs in its plugin's name scope, an async tap on a sync hook
 * and a waterfall tap that returns nothing are refused with the plugin's name, and an error is given its origin.
 * On an async hook every tap is waited for, also an async function given to plain `tap`.
 */
import { AsyncSeriesHook, SyncWaterfallHook, type AsyncHook, type FullTap, type Hook } from "tapable";
import { errors, RelataError } from "./errors.ts";
import { withScope } from "./scopes.ts";

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tapable's own bound for any hook
type AnyHook = Hook<any, any>;

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as Promise<unknown> | undefined)?.then === "function";
}

/** Adds the guards to a hook and returns it. */
export function guard<H extends AnyHook>(hook: H): H {
  const hookName = hook.name ?? "hook";
  const asynchronous = hook.constructor === AsyncSeriesHook;
  const waterfall = hook.constructor === SyncWaterfallHook;

  if (!asynchronous) {
    const refuse = (options: string | { name: string }) => {
      throw errors.hookAsyncTap(typeof options === "string" ? options : options.name, hookName);
    };
    // tapable would refuse these too, but without naming the plugin.
    Object.assign(hook as unknown as AsyncHook<unknown[], unknown>, { tapAsync: refuse, tapPromise: refuse });
  }

  hook.intercept({
    name: "relata-guard",
    register: (tap: FullTap) =>
      asynchronous
        ? { ...tap, type: "promise", fn: guardAsyncTap(tap, hookName) }
        : { ...tap, fn: guardSyncTap(tap, hookName, waterfall) },
  });
  // tapable counts interceptors as use.
  hook.isUsed = () => hook.taps.length > 0;
  return hook;
}

type TapFunction = (...args: unknown[]) => unknown;

function blame(tap: FullTap, hookName: string, cause: unknown): RelataError {
  return cause instanceof RelataError ? cause : errors.pluginThrew(tap.name, hookName, cause).because(cause);
}

const scopeOf = (tap: FullTap, hookName: string) => `${tap.name}/${hookName}`;

function guardSyncTap(tap: FullTap, hookName: string, waterfall: boolean): TapFunction {
  const run = tap.fn as TapFunction;
  return (...args) => {
    let result: unknown;
    try {
      result = withScope(scopeOf(tap, hookName), () => run(...args));
    } catch (error) {
      throw blame(tap, hookName, error);
    }
    if (isPromise(result)) {
      result.catch(() => {}); // reported below; its own failure must not surface as an unhandled rejection
      throw errors.hookAsyncTap(tap.name, hookName);
    }
    if (waterfall && result === undefined) throw errors.hookReturnedNothing(tap.name, hookName);
    return result;
  };
}

function guardAsyncTap(tap: FullTap, hookName: string): TapFunction {
  const run = tap.fn as TapFunction;
  const wait: TapFunction = tap.type === "async" ? withCallback(run) : run;
  return async (...args) => {
    try {
      await withScope(scopeOf(tap, hookName), () => wait(...args));
    } catch (error) {
      throw blame(tap, hookName, error);
    }
  };
}

/** A tap that tells by a callback when it is done, as one that gives a promise. */
function withCallback(run: TapFunction): TapFunction {
  return (...args) =>
    new Promise<void>((resolve, reject) => {
      run(...args, (error?: Error | null) => (error ? reject(error) : resolve()));
    });
}
