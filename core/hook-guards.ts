/**
 * Interceptors that every hook carries: each tap runs in its plugin's name scope, an async tap on a sync hook and
 * a waterfall tap that returns nothing, or something else than belongs there, are refused with the plugin's name,
 * and an error is given its origin.
 * On an async hook every tap is waited for, also an async function given to plain `tap`.
 */
import { AsyncSeriesHook, SyncWaterfallHook, type AsyncHook, type FullTap, type Hook } from "tapable";
import { blame } from "./blame.ts";
import { described } from "./described.ts";
import { errors } from "./errors.ts";
import type { ValueCheck } from "./hook-values.ts";
import { withScope } from "./scopes.ts";

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tapable's own bound for any hook
type AnyHook = Hook<any, any>;

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as Promise<unknown> | undefined)?.then === "function";
}

/** Adds the guards to a hook and returns it. `check` is of what the taps of a waterfall return. */
export function guard<H extends AnyHook>(hook: H, check: ValueCheck = () => undefined): H {
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
        : { ...tap, fn: waterfall ? guardWaterfallTap(tap, hookName, check) : guardSyncTap(tap, hookName) },
  });
  // tapable counts interceptors as use.
  hook.isUsed = () => hook.taps.length > 0;
  return hook;
}

type TapFunction = (...args: unknown[]) => unknown;

const scopeOf = (tap: FullTap, hookName: string) => `${tap.name}/${hookName}`;

function guardSyncTap(tap: FullTap, hookName: string): TapFunction {
  const run = tap.fn as TapFunction;
  return (...args) => {
    let result: unknown;
    try {
      result = withScope(scopeOf(tap, hookName), () => run(...args));
    } catch (error) {
      throw blame(tap.name, hookName, error);
    }
    if (isPromise(result)) {
      result.catch(() => {}); // reported below; its own failure must not surface as an unhandled rejection
      throw errors.hookAsyncTap(tap.name, hookName);
    }
    return result;
  };
}

function guardWaterfallTap(tap: FullTap, hookName: string, check: ValueCheck): TapFunction {
  const run = guardSyncTap(tap, hookName);
  return (received, ...rest) => {
    const returned = run(received, ...rest);
    if (returned === undefined) throw errors.hookReturnedNothing(tap.name, hookName);
    const inScope = () => check(returned, received, rest[0], tap.name);
    const refusal = withScope(scopeOf(tap, hookName), inScope);
    if (!refusal) return returned;
    const { want, fix } = refusal;
    throw errors.hookShape(tap.name, hookName, placeOf(rest[0]), described(returned), want, fix);
  };
}

/** Of which pass or view group a hook was called. */
function placeOf(context: unknown): string {
  const { pass, views } = (context ?? {}) as { pass?: { key: string }; views?: { group: string } };
  const place = pass?.key ?? views?.group;
  return place === undefined ? "" : ` of ${place}`;
}

function guardAsyncTap(tap: FullTap, hookName: string): TapFunction {
  const run = tap.fn as TapFunction;
  const wait: TapFunction = tap.type === "async" ? withCallback(run) : run;
  return async (...args) => {
    try {
      await withScope(scopeOf(tap, hookName), () => wait(...args));
    } catch (error) {
      throw blame(tap.name, hookName, error);
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
