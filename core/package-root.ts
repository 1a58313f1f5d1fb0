import { createRequire } from "node:module";
import { dirname } from "node:path";

/** Where this package is installed: its recipes and templates lie there, beside the code. */
export const packageRoot = dirname(createRequire(import.meta.url).resolve("relata/package.json"));
