/** Whether what a module exports is a plugin: checked in a fixed order, so that the first problem is the cause. */
import { errors } from "../core/errors.ts";
import { isPluginUse } from "../core/config/plugin-entry.ts";
import { formatValue } from "../core/config/problems.ts";
import type { PluginDefinition } from "../core/plugin.ts";
import { PLUGIN_NAME } from "../core/plugin-name.ts";

/** The version of the plugin contract: core/hooks.ts, core/contexts.ts, core/plugin.ts. */
const CONTRACT = "^1";

/**
 * @param source what the module was found as, for messages
 * @throws PLUGIN_SHAPE for the default export, the name or the options schema; PLUGIN_API
 */
export function asDefinition(exported: unknown, source: string): PluginDefinition {
  const refuse = (problem: string, fix: string) => errors.pluginShape(source, problem, fix);
  if (exported === undefined) {
    throw refuse(
      "it has no default export",
      "write: export default definePlugin({ … }, (hooks, { name, options }) => { … })",
    );
  }
  if (isPluginUse(exported)) {
    throw refuse(
      "it exports a plugin that is already called",
      "export what definePlugin gives, without calling it",
    );
  }
  if (!isDefinition(exported)) {
    throw refuse(
      `its default export is ${formatValue(exported)}`,
      "export what definePlugin gives as default",
    );
  }
  const { name, api, options } = exported.manifest as Partial<PluginDefinition["manifest"]>;
  if (typeof name !== "string" || !PLUGIN_NAME.test(name)) {
    throw refuse(
      `its name is ${formatValue(name)}`,
      "name it in lower case with dashes, such as my-relation",
    );
  }
  if (api !== CONTRACT) throw errors.pluginApi(name, formatValue(api), CONTRACT);
  // Zod 3 schemas have no _zod.
  if (typeof options !== "object" || !("_zod" in options) || typeof options.safeParse !== "function") {
    throw refuse(
      "its options are not a zod 4 schema",
      'import z from "relata/plugin"; for no options, z.strictObject({})',
    );
  }
  return exported;
}

function isDefinition(value: unknown): value is PluginDefinition {
  const { manifest, apply } = (value ?? {}) as Partial<PluginDefinition>;
  return (
    typeof value === "function" &&
    typeof manifest === "object" &&
    manifest !== null &&
    typeof apply === "function"
  );
}
