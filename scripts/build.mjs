/**
 * Makes `dist`, what the package ships: JavaScript and declarations by tsc, and tfjs-node-gpu's kernel layer
 * bundled into one file. The layer is only a development dependency: as a dependency its install script would
 * download a TensorFlow that relata does not use, and fail without a network.
 */
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

rmSync(`${root}dist`, { recursive: true, force: true });
execFileSync(process.execPath, [require.resolve("typescript/bin/tsc"), "-p", `${root}tsconfig.build.json`], {
  stdio: "inherit",
});

const CORE = "@tensorflow/tfjs-core";

/** The layer gets the tfjs-core that relata uses. */
const oneCore = {
  name: "one-core",
  setup(make) {
    // It reads only the core's part of the umbrella package.
    make.onResolve({ filter: /^@tensorflow\/tfjs(-core)?$/ }, () => ({ path: CORE, external: true }));
    // Messages of the layer's TensorBoard writer, which relata does not use: 400 kB, and google-protobuf.
    make.onLoad({ filter: /api_pb\.js$/ }, () => ({ contents: "" }));
  },
};

const layer = require("@tensorflow/tfjs-node-gpu/package.json");
await build({
  stdin: {
    // The umbrella package also registers these, which the core alone does in browsers only. They bring copies of
    // the ops that they call, which work on the one engine that all of tfjs shares in a process.
    contents: `
      import "${CORE}/dist/register_all_gradients";
      import "${CORE}/dist/public/chained_ops/register_all_chained_ops";
      import layer from "./kernel-layer.cjs";
      export const { NodeJSKernelBackend } = layer;`,
    resolveDir: `${root}core/engine`,
  },
  outfile: `${root}dist/core/engine/kernel-layer.cjs`,
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  plugins: [oneCore],
  legalComments: "inline",
  banner: {
    js:
      `/* The kernel layer of ${layer.name} ${layer.version} and the gradients of ${CORE}, Copyright Google LLC,\n` +
      `   under the ${layer.license} licence (see LICENSE), bundled by relata without the native addon. */`,
  },
  logLevel: "warning",
});
