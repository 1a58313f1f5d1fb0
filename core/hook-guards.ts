/**
 * Interceptors that every hook carries: each tap runs in its plugin's name scope, an async tap on a sync hook
 * and a waterfall tap that returns nothing are refused with the plugin's name, and an error is given its origin.
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
    register: (tap: FullTap) => ({ ...tap, fn: guardTap(tap, hookName, { asynchronous, waterfall }) }),
  });
  return hook;
}

type TapFunction = (...args: unknown[]) => unknown;

function guardTap(
  tap: FullTap,
  hookName: string,
  { asynchronous, waterfall }: { asynchronous: boolean; waterfall: boolean },
): TapFunction {
  const run = tap.fn as TapFunction;
  const blame = (cause: unknown): never => {
    throw cause instanceof RelataError ? cause : errors.pluginThrew(tap.name, hookName, cause).because(cause);
  };
  return (...args) => {
    let result: unknown;
    try {
      result = withScope(`${tap.name}/${hookName}`, () => run(...args));
    } catch (error) {
      return blame(error);
    }
    if (asynchronous) return isPromise(result) ? result.catch(blame) : result;
    if (isPromise(result)) {
      result.catch(() => {}); // reported below; its own failure must not surface as an unhandled rejection
      throw errors.hookAsyncTap(tap.name, hookName);
    }
    if (waterfall && result === undefined) throw errors.hookReturnedNothing(tap.name, hookName);
    return result;
  };
}

