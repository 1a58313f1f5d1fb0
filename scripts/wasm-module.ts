/**
 * npm run build:wasm
 *
 * Compiles core/data/assembly/resample.ts into core/data/resample-module.ts. The module is text in a source file, so
 * that a checkout, a bundle and the package load it alike.
 */
import asc from "assemblyscript/asc";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SOURCE = new URL("../core/data/assembly/resample.ts", import.meta.url);
export const MODULE = fileURLToPath(new URL("../core/data/resample-module.ts", import.meta.url));

/** No heap, no memory of its own, no checks. */
const BARE = ["--runtime", "stub", "--importMemory", "--noAssert"];
const LINE = 100;

/** The text of resample-module.ts. */
export async function wasmModule(): Promise<string> {
  const source = readFileSync(SOURCE, "utf8");
  let binary = new Uint8Array();
  const { error, stderr } = await asc.main(
    ["resample.ts", "--outFile", "resample.wasm", "-O3", "--enable", "simd", ...BARE],
    {
      readFile: (name) => (name === "resample.ts" ? source : null),
      writeFile: (name, contents) => {
        if (name === "resample.wasm") binary = contents as Uint8Array<ArrayBuffer>;
      },
      listFiles: () => [],
    },
  );
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  const text = Buffer.from(binary).toString("base64");
  const lines = Array.from({ length: Math.ceil(text.length / LINE) }, (_, i) => {
    return `  "${text.slice(i * LINE, (i + 1) * LINE)}"`;
  });
  return [
    "/** Made from assembly/resample.ts by `npm run build:wasm`. */",
    "export const resampleModule =",
    `${lines.join(" +\n")};\n`,
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(MODULE, await wasmModule());
