import { Command } from "commander";
import { writeFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import type { CliContext } from "../context.ts";
import { theme } from "../theme.ts";

export function schemaCommand({ terminal }: CliContext): Command {
  return new Command("schema")
    .description("write the JSON Schema of configs, by which editors complete and check them")
    .option("--out <file>", "the file", "relata.schema.json")
    .action(async ({ out }: { out: string }) => {
      const { runJsonSchema } = await import("../../core/config/json-schema.ts");
      const { builtinPlugins } = await import("../../registry/builtins.ts");
      const path = resolve(out);
      const place = relative("", path);
      writeFileSync(path, `${JSON.stringify(runJsonSchema(await builtinPlugins()), null, 2)}\n`);
      terminal.line(`${theme.good("✔")} ${place}`);
      terminal.line(`  ${theme.quiet("YAML")} # yaml-language-server: $schema=./${place}`);
      terminal.line(`  ${theme.quiet("JSON")} { "$schema": "./${place}", … }`);
    });
}
