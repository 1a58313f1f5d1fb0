import { blame } from "../blame.ts";
import { withScope } from "../scopes.ts";

/** Runs what a plugin handed over outside of a hook, in its name scope; what it throws is told in its name. */
export function asPlugin<T>(plugin: string, where: string, run: () => T): T {
  try {
    return withScope(`${plugin}/${where}`, run);
  } catch (error) {
    throw blame(plugin, where, error);
  }
}
