import { refusedOp } from "./engine/failed-ops.ts";
import { errors, RelataError } from "./errors.ts";

/** What failed in a plugin's hook or function, as a coded error that says in which. */
export function blame(plugin: string, where: string, cause: unknown): RelataError {
  const coded = cause instanceof RelataError ? cause : refusedOp(cause);
  return coded?.in(`${plugin}/${where}`) ?? errors.pluginThrew(plugin, where, cause).because(cause);
}
