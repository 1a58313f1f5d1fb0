/**
 * The name scope that ops are made in: which plugin, in which hook. Time, memory and non-finite values are
 * attributed through it without a plugin's doing anything.
 */
let current = "core";

/** Slash-separated, e.g. "dino/loss". */
export function currentScope(): string {
  return current;
}

export function withScope<T>(scope: string, run: () => T): T {
  const outer = current;
  current = scope;
  try {
    return run();
  } finally {
    current = outer;
  }
}

/** The plugin that a scope belongs to. */
export function pluginOf(scope: string): string {
  return scope.split("/")[0] ?? scope;
}
