/** Starts a plugin: a folder with the plugin, its test, its page and a config for a folder of images. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { errors } from "./errors.ts";
import { packageRoot } from "./package-root.ts";
import { PLUGIN_NAME } from "./plugin-name.ts";

/** What a plugin adds; each has a template of its own. */
export const pluginKinds = ["relation", "loss", "views"] as const;
export type PluginKind = (typeof pluginKinds)[number];

export interface NewPlugin {
  /** In lower case with dashes. */
  readonly name: string;
  readonly kind: PluginKind;
  /** The folder; it must be empty or not exist yet (default: the name). */
  readonly folder?: string;
  /** Makes its package one that can be published. */
  readonly publishable?: boolean;
}

const TEMPLATES = join(packageRoot, "templates");
/** The name in the templates. */
const PLACEHOLDER = /my-plugin/g;

/**
 * Writes the files of a new plugin; gives the folder and their names.
 *
 * @throws PLUGIN_NAME for a name that is none, PLUGIN_FOLDER_EXISTS for a folder that holds something
 */
export function newPlugin({ name, kind, folder = name, publishable = false }: NewPlugin): {
  readonly folder: string;
  readonly files: readonly string[];
} {
  if (!PLUGIN_NAME.test(name)) throw errors.pluginName(name);
  const target = resolve(folder);
  const exists = statSync(target, { throwIfNoEntry: false });
  if (exists && !(exists.isDirectory() && readdirSync(target).length === 0)) {
    throw errors.pluginFolderExists(target);
  }
  mkdirSync(target, { recursive: true });
  const files: [string, string][] = [
    ...readdirSync(join(TEMPLATES, kind)).map((file): [string, string] => [
      file,
      join(TEMPLATES, kind, file),
    ]),
    ["README.md", join(TEMPLATES, "README.md")],
    // Not under its own name: the templates would be a package then, and could not import relata.
    ["package.json", join(TEMPLATES, "package.template.json")],
    ["run.yaml", join(TEMPLATES, "run.yaml")],
  ];
  for (const [file, template] of files) {
    const text = readFileSync(template, "utf8").replace(PLACEHOLDER, name);
    const own = file === "package.json" && publishable ? withoutPrivate(text) : text;
    writeFileSync(join(target, file), own, { flag: "wx" });
  }
  return { folder: target, files: files.map(([file]) => file) };
}

function withoutPrivate(text: string): string {
  const { private: _, ...manifest } = JSON.parse(text) as Record<string, unknown>;
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
