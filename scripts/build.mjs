/**
 * Makes `dist`, what the package ships: JavaScript and declarations by tsc, and tfjs-node-gpu's kernel layer
 * bundled into one file. The layer is only a development dependency: as a dependency its install script would
 * download a TensorFlow that relata does not use, and fail without a network.
 */
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

rmSync(`${root}dist`, { recursive: true, force: true });
execFileSync(process.execPath, [require.resolve("typescript/bin/tsc"), "-p", `${root}tsconfig.build.json`], {
  stdio: "inherit",
});

const layer = JSON.parse(readFileSync(require.resolve("@tensorflow/tfjs-node-gpu/package.json"), "utf8"));
await build({
  entryPoints: [`${root}core/engine/kernel-layer.cjs`],
  outfile: `${root}dist/core/engine/kernel-layer.cjs`,
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  // The layer reads only the core's part of the umbrella package; the core must be the copy that relata uses.
  alias: { "@tensorflow/tfjs": "@tensorflow/tfjs-core" },
  external: ["@tensorflow/tfjs-core"],
  // Messages of its TensorBoard writer, which relata does not use: 400 kB of generated code and google-protobuf.
  plugins: [
    {
      name: "no-messages",
      setup: (make) => make.onLoad({ filter: /api_pb\.js$/ }, () => ({ contents: "" })),
    },
  ],
  legalComments: "inline",
  banner: {
    js: `/* The kernel layer of ${layer.name} ${layer.version}, Copyright Google LLC, under the ${layer.license} licence (see LICENSE),\n   bundled by relata: its parts in one file, its native addon left out. */`,
  },
  logLevel: "warning",
});
