/**
 * The name scope that ops are made in: which plugin, in which hook. Time, memory and non-finite values are
 * attributed through it without a plugin's doing anything.
 */
import { AsyncLocalStorage } from "node:async_hooks";

const scopes = new AsyncLocalStorage<string>();

/** Slash-separated, e.g. "dino/loss". */
export function currentScope(): string {
  return scopes.getStore() ?? "core";
}

/** Runs in a scope, which also holds after each `await` of what runs. */
export function withScope<T>(scope: string, run: () => T): T {
  return scopes.run(scope, run);
}

/** The plugin that a scope belongs to. */
export function pluginOf(scope: string): string {
  return scope.split("/")[0] ?? scope;
}
