/** A folder as a user of relata has it: relata is installed, and the files of the docs go beside it. */
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { tempFolder, type TempFolder } from "../core/config/temp-folder.ts";
import { root } from "./pages.ts";

/** Call inside `describe`. */
export function userProject(): TempFolder {
  const folder = tempFolder();
  mkdirSync(join(folder.path, "node_modules"));
  symlinkSync(root, join(folder.path, "node_modules/relata"), "dir");
  for (const name of ["tsx", "@types"]) {
    symlinkSync(join(root, "node_modules", name), join(folder.path, "node_modules", name), "dir");
  }
  folder.write("package.json", JSON.stringify({ name: "user", private: true, type: "module" }));
  return folder;
}
