/** What the setup hook is given: the declarations, open until setup is over. */
import type { SetupContext } from "../contexts.ts";
import { errors } from "../errors.ts";
import { currentScope, pluginOf } from "../scopes.ts";

/** What may be asked at any time. */
const LOOKUPS: readonly (string | symbol)[] = ["viewGroup", "headSpec", "service"];

export interface OpenSetup {
  readonly context: SetupContext;
  /** From now on a declaration throws DECLARED_LATE. */
  close(): void;
}

export function openSetup(
  declarations: SetupContext & { networks: ReadonlyMap<string, unknown> },
): OpenSetup {
  let open = true;
  const isLookup = (method: string | symbol, name: unknown) =>
    LOOKUPS.includes(method) || (method === "network" && declarations.networks.has(name as string));
  const context = new Proxy(declarations, {
    get(target, method) {
      const value: unknown = Reflect.get(target, method, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        if (open || isLookup(method, args[0])) return Reflect.apply(value, target, args);
        throw errors.declaredLate(pluginOf(currentScope()), currentScope(), String(method));
      };
    },
  });
  return { context, close: () => (open = false) };
}
