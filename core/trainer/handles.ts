import { didYouMean } from "../config/did-you-mean.ts";
import { errors } from "../errors.ts";
import { currentScope, pluginOf } from "../scopes.ts";

/** The declaration behind a handle that a hook uses. Throws UNDECLARED. */
export function declared<T>(
  kind: string,
  known: ReadonlyMap<string, T>,
  handle: { readonly name?: unknown } | undefined,
): T {
  const name = handle?.name;
  const found = known.get(name as string);
  if (found !== undefined) return found;
  const scope = currentScope();
  if (typeof name !== "string") throw errors.undeclared(pluginOf(scope), scope, kind, undefined);
  throw errors.undeclared(pluginOf(scope), scope, kind, name, didYouMean(name, [...known.keys()]));
}
