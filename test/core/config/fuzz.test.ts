/** Whatever a config says, the answer is a config or a coded error. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { loadConfig } from "../../../core/config/load.ts";
import { applyOverrides } from "../../../core/config/overrides.ts";
import { parseConfig } from "../../../core/config/parse.ts";
import { RelataError } from "../../../core/errors.ts";
import { tempFolder } from "./temp-folder.ts";

const valid = {
  seed: 1,
  data: { path: "images", workers: 1, mean: [0.5, 0.5, 0.5] },
  backbone: { arch: "vit", embedDim: 32, depth: 2, numHeads: 2, patchSize: 8 },
  train: { epochs: 2, batchSize: 4, microBatch: 2, lr: 0.1, adam: { beta1: 0.9 }, threads: { intra: 1 } },
  teacher: { momentum: 0.99 },
  checkpoint: { keepLast: 1, best: "knn/top1" },
  evaluation: { knn: { k: 3 }, dense: { masks: "masks" } },
  plugins: ["multi-crop", { use: "dino", with: { outDim: 8 } }],
};

/** Strange keys and values where they hurt. */
const odd = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(
    -1,
    0,
    Infinity,
    NaN,
    "",
    "__proto__",
    undefined,
    2 ** 53,
    "1",
    [null],
    { use: 3 },
    new Date(0),
    3n,
  ),
);
const key = fc.oneof(
  fc.constantFrom("__proto__", "constructor", "toString", "train", "plugins", "dino", "with", "0", ""),
  fc.string(),
);

/** A part of `valid`, by its path, changed or left out. */
const paths = (value: unknown, path: readonly string[] = []): string[][] =>
  typeof value === "object" && value !== null
    ? [[...path], ...Object.entries(value).flatMap(([name, part]) => paths(part, [...path, name]))]
    : [[...path]];

function changed(value: unknown, [first, ...rest]: readonly string[], to: unknown): unknown {
  if (first === undefined) return to;
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value)
    ? [...(value as unknown[])]
    : { ...(value as object) };
  const at = copy as Record<string, unknown>;
  const part = { value: changed(at[first], rest, to), enumerable: true, configurable: true, writable: true };
  // As JSON.parse does: also "__proto__" is a key as any other.
  return Object.defineProperty(copy, first, part);
}

/** Counts configs and coded errors; anything else fails. */
function answered<T extends unknown[]>(ask: (...args: T) => unknown) {
  const counts = { taken: 0, refused: 0 };
  const answer = async (...args: T) => {
    try {
      await ask(...args);
      counts.taken++;
    } catch (error) {
      assert.ok(error instanceof RelataError && error.fix !== "", String((error as Error)?.stack ?? error));
      counts.refused++;
    }
  };
  return { counts, answer };
}

describe("any config", () => {
  it("that differs in a part from a valid one is taken or refused with a code", async () => {
    const { counts, answer } = answered((config: unknown) => parseConfig(config, "/base"));
    const change = fc.tuple(fc.constantFrom(...paths(valid)), fc.option(key, { nil: undefined }), odd);
    const property = fc.asyncProperty(change, ([path, extra, value]) =>
      answer(changed(valid, extra === undefined ? path : [...path, extra], value)),
    );
    await fc.assert(property, { numRuns: 3000 });
    assert.ok(counts.taken > 50 && counts.refused > 1000, JSON.stringify(counts));
  });

  it("of any shape is refused with a code", async () => {
    const { counts, answer } = answered((config: unknown) => parseConfig(config, "/base"));
    await fc.assert(fc.asyncProperty(odd, answer), { numRuns: 2000 });
    assert.deepEqual(counts, { taken: 0, refused: 2000 });
  });

  it("changed by --set is taken or refused with a code", async () => {
    const { counts, answer } = answered((set: string) => parseConfig(applyOverrides(valid, [set]), "/base"));
    const names = paths(valid).map((path) => path.join("."));
    const value = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom("&a [*a]", "{", "!!js/function x", "1e999", "~"),
    );
    const set = fc
      .tuple(
        fc.oneof(fc.constantFrom(...names, "plugins.dino.outDim", "plugins.dino.with.x"), key),
        fc.constantFrom("=", ".", "==", ""),
        value,
      )
      .map((parts) => parts.join(""));
    await fc.assert(fc.asyncProperty(set, answer), { numRuns: 3000 });
    assert.ok(counts.taken > 50 && counts.refused > 1000, JSON.stringify(counts));
  });
});

describe("any text of a config", () => {
  const folder = tempFolder();

  it("is read or refused with a code", async () => {
    const { counts, answer } = answered(async (text: string) =>
      parseConfig((await loadConfig(folder.write("any.yaml", text))).config, "/base"),
    );
    const whole = JSON.stringify(valid, null, 1);
    const cut = fc
      .tuple(
        fc.nat({ max: whole.length }),
        fc.nat({ max: 12 }),
        fc.oneof(
          fc.string(),
          fc.constantFrom("&x", "*x", "<<: *x", "? ", "- ", "\t", "%YAML 9\n", "---\n", "!!map"),
        ),
      )
      .map(([at, drop, insert]) => whole.slice(0, at) + insert + whole.slice(at + drop));
    const bomb = fc.nat({ max: 12 }).map((depth) =>
      Array.from(
        { length: depth + 1 },
        (_, i) =>
          `a${i}: &a${i} [${
            i === 0
              ? "x"
              : Array(9)
                  .fill(`*a${i - 1}`)
                  .join(", ")
          }]`,
      ).join("\n"),
    );
    const nested = fc.nat({ max: 5000 }).map((depth) => "[".repeat(depth));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          { weight: 20, arbitrary: cut },
          { weight: 10, arbitrary: fc.string() },
          { weight: 1, arbitrary: bomb },
          { weight: 1, arbitrary: nested },
        ),
        answer,
      ),
      { numRuns: 2000 },
    );
    assert.ok(counts.refused > 1000, JSON.stringify(counts));
  });
});
