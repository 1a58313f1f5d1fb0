/** The flags that say which step is measured. */
import type { parseArgs } from "node:util";
import { choiceOf, numberOf, wholeOf } from "./command.ts";
import { defaultSizes, methods, type MethodSizes } from "./method.ts";

/** Options of `parseFlags`. */
export const sizeFlags = {
  method: { type: "string", default: defaultSizes.method },
  arch: { type: "string", default: defaultSizes.arch },
  /** Blocks of the backbone; the arch's own by default. */
  depth: { type: "string" },
  batch: { type: "string", default: String(defaultSizes.batch) },
  locals: { type: "string", default: String(defaultSizes.locals) },
  precision: { type: "string", default: defaultSizes.precision },
  "out-dim": { type: "string", default: String(defaultSizes.outDim) },
  "mask-ratio": { type: "string", default: String(defaultSizes.maskRatio) },
  "drop-path": { type: "string", default: String(defaultSizes.dropPath) },
} as const;

type SizeFlags = ReturnType<typeof parseArgs<{ options: typeof sizeFlags }>>["values"];

/** What the flags say; the rest by default. Throws a UsageError. */
export function sizesOf(flags: SizeFlags): MethodSizes {
  return {
    ...defaultSizes,
    arch: flags.arch,
    precision: flags.precision,
    method: choiceOf("method", flags.method, methods),
    depth: flags.depth === undefined ? undefined : wholeOf("depth", flags.depth, 1),
    batch: wholeOf("batch", flags.batch, 1),
    locals: wholeOf("locals", flags.locals, 0),
    outDim: wholeOf("out-dim", flags["out-dim"], 1),
    maskRatio: numberOf("mask-ratio", flags["mask-ratio"], 0),
    dropPath: numberOf("drop-path", flags["drop-path"], 0),
  };
}
