/** Where in a plugin's files an error came from. */
import { existsSync } from "node:fs";
import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../core/package-root.ts";

/** "at run (file:///acme/index.ts?x:20:30)" and "at async /acme/index.js:20:30". */
const FRAME = /^ +at (?:async )?(?:.*? \()?(.+?)(?:\?[^:]*)?:(\d+):(\d+)\)?$/gm;

/** Folders of relata's own code; its plugins are plugins. */
const OWN = ["core", "cli", "registry", "bin", "dist"].map((folder) => `${packageRoot}${sep}${folder}${sep}`);

/** "acme/index.ts:20:30": the innermost frame that is no code of relata, of Node or of a package. */
export function pluginLine(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // The cause is nearer to the line than the error that was made of it.
  return pluginLine(error.cause) ?? firstOutside(error.stack ?? "");
}

/** Relative where it lies in the working directory. */
function fromHere(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") ? file : path;
}

function firstOutside(stack: string): string | undefined {
  for (const [, place = "", line, column] of stack.matchAll(FRAME)) {
    const file = place.startsWith("file:") ? fileURLToPath(place) : place;
    // Source maps of packages name files that are not there.
    const inFile = file.includes(sep) && existsSync(file);
    const foreign =
      file.includes(`${sep}node_modules${sep}`) || OWN.some((folder) => file.startsWith(folder));
    if (inFile && !foreign) return `${fromHere(file)}:${line}:${column}`;
  }
  return undefined;
}
