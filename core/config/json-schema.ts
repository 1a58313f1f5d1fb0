/** The run's schema as JSON Schema, with the options of given plugins: what editors complete and check configs by. */
import { z } from "zod";
import type { PluginDefinition } from "../plugin.ts";
import { runSchema } from "./schema.ts";

type Schema = z.core.JSONSchema.BaseSchema;

const options = { io: "input", unrepresentable: "any" } as const;

/** Of YAML and JSON configs. Plugins that are not among those given may have any options. */
export function runJsonSchema(plugins: readonly PluginDefinition[]): Schema {
  const schema = z.toJSONSchema(runSchema, options);
  const names = plugins.map(({ manifest }) => manifest.name);
  const known = plugins.map(({ manifest }): Schema => {
    const { $schema: _, ...own } = z.toJSONSchema(manifest.options, options);
    return {
      type: "object",
      description: manifest.summary,
      properties: { use: { const: manifest.name }, with: own },
      required: ["use"],
      additionalProperties: false,
    };
  });
  const other: Schema = {
    type: "object",
    description: "a file beside the config, or an npm package",
    properties: {
      use: { type: "string", minLength: 1, not: { enum: names } },
      with: { type: "object" },
    },
    required: ["use"],
    additionalProperties: false,
  };
  const byName: Schema = {
    anyOf: [
      { enum: names, description: "with its default options" },
      { type: "string", minLength: 1 },
    ],
  };
  return {
    ...schema,
    title: "relata run",
    properties: {
      $schema: { type: "string" },
      ...schema.properties,
      plugins: { ...(schema.properties?.["plugins"] as Schema), items: { anyOf: [byName, ...known, other] } },
    },
  };
}
