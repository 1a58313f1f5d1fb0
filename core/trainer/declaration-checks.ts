/** What setup refuses, in the name of the plugin that declares. */
import type { HealthContext, Network, Progress } from "../contexts.ts";
import { described } from "../described.ts";
import { errors } from "../errors.ts";
import { currentScope, pluginOf } from "../scopes.ts";

const plugin = (): string => pluginOf(currentScope());

/** Throws NETWORK_FOREIGN: a network of another run may have the name of one of this. */
export function requireOwn(networks: ReadonlyMap<string, Network>, network: Network | undefined): void {
  const name: unknown = network?.name;
  if (network && networks.get(network.name) === network) return;
  throw errors.networkForeign(plugin(), typeof name === "string" ? `"${name}"` : described(network));
}

/** Throws NOT_FUNCTION. */
export function requireFunction(kind: string, name: string, value: unknown): void {
  if (typeof value !== "function") throw errors.notFunction(plugin(), kind, name, described(value));
}

/** A schedule that throws SCHEDULE_VALUE where it gives no finite number. */
export function finiteSchedule(name: string, at: (progress: Progress) => number): typeof at {
  requireFunction("schedule", name, at);
  return (progress) => {
    const value: unknown = at(progress);
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw errors.scheduleValue(plugin(), name, progress.step, described(value));
  };
}

/** A limit that throws HEALTH_LIMIT where it gives something that is neither a finite number nor undefined. */
export function finiteLimit(signal: string, at: (context: HealthContext) => number | undefined): typeof at {
  return (context) => {
    const value: unknown = at(context);
    if (value === undefined || Number.isFinite(value)) return value as number | undefined;
    throw errors.healthLimit(plugin(), signal, context.step, described(value));
  };
}
