import type { Container } from "../container.ts";
import type { Hooks } from "../hooks.ts";
import type { PluginDefinition } from "../plugin.ts";
import { asPlugin } from "./as-plugin.ts";

/** A plugin found and its options checked. */
export interface ResolvedPlugin {
  readonly definition: PluginDefinition;
  readonly options: unknown;
  /** What the config calls it, where that is not its name: a path or a package. */
  readonly source?: string;
}

/** Lets a plugin tap the hooks and bind its services; what it throws is told in its name. */
export function applyPlugin(
  { definition, options }: ResolvedPlugin,
  hooks: Hooks,
  container: Container,
): void {
  const { name } = definition.manifest;
  const parts = asPlugin(name, "apply", () => definition.apply(hooks, { name, options }));
  asPlugin(name, "services", () => parts?.services?.(container));
}
