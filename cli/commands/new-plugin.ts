import { Command, Option } from "commander";
import { relative } from "node:path";
import { newPlugin, pluginKinds, type PluginKind } from "../../core/scaffold.ts";
import type { CliContext } from "../context.ts";
import { theme } from "../theme.ts";

interface NewPluginOptions {
  readonly kind: PluginKind;
  readonly out?: string;
  readonly package?: true;
}

export function newPluginCommand({ terminal }: CliContext): Command {
  return new Command("new-plugin")
    .description("start a plugin of your own: a folder with plugin, test, page and config")
    .argument("<name>", "in lower case with dashes, such as my-relation")
    .addOption(new Option("--kind <kind>", "what it adds").choices(pluginKinds).default("relation"))
    .option("--out <folder>", "the folder (default: the name)")
    .option("--package", "a package that can be published, not a folder beside your configs")
    .action((name: string, { kind, out, package: publishable }: NewPluginOptions) => {
      const { folder, files } = newPlugin({ name, kind, folder: out, publishable });
      const place = relative("", folder) || ".";
      terminal.line(`${theme.good("✔")} ${place}: ${files.join(", ")}`);
      terminal.line(`  ${theme.quiet("test ")} npm test --prefix ${place}`);
      terminal.line(`  ${theme.quiet("train")} npx relata train ${place}/run.yaml --data FOLDER`);
    });
}
