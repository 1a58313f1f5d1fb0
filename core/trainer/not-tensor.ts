import { described } from "../described.ts";
import { errors, type RelataError } from "../errors.ts";
import { currentScope, pluginOf } from "../scopes.ts";

/** NOT_TENSOR, of what the hook that runs gives. */
export function notTensor(what: string, value: unknown): RelataError {
  return errors.notTensor(pluginOf(currentScope()), currentScope(), what, described(value));
}
