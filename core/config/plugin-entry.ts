/** One entry of `plugins`: a name, a name with options, or in TypeScript a plugin's value. */
import { z } from "zod";
import type { PluginUse } from "../plugin.ts";

/** A plugin by name; `use` is a built-in name, a path that starts with "." or "/", or an npm package. */
export interface NamedPlugin {
  readonly use: string;
  readonly with: Readonly<Record<string, unknown>>;
}
export type PluginEntry = NamedPlugin | PluginUse;

export function isPluginUse(value: unknown): value is PluginUse {
  const { definition } = (value ?? {}) as Partial<PluginUse>;
  return typeof definition === "function" && "manifest" in definition;
}

const name = z.string().min(1);

export const pluginEntry = z
  .union([
    name,
    z.custom<PluginUse>(
      isPluginUse,
      "expected a plugin's name, { use, with }, or a plugin called with its options",
    ),
    z.strictObject({
      use: name.describe("a built-in plugin, a path from the config's folder, or an npm package"),
      with: z.record(z.string(), z.unknown()).optional().describe("the plugin's options"),
    }),
  ])
  .transform((entry): PluginEntry => {
    if (typeof entry === "string") return { use: entry, with: {} };
    return isPluginUse(entry) ? entry : { use: entry.use, with: entry.with ?? {} };
  });
