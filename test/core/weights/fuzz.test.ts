/** Whatever lies in a file of weights, it is read or refused with a code: no crash, no hang, no memory exhausted. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { RelataError } from "../../../core/errors.ts";
import { inferBackbone } from "../../../core/weights/infer-backbone.ts";
import { matchWeights } from "../../../core/weights/match.ts";
import { networkFor, openWeights } from "../../../core/weights/open.ts";
import { openPyTorch } from "../../../core/weights/pytorch.ts";
import { namedViews, unpickleTorch } from "../../../core/weights/torch-pickle.ts";
import { temporaryFolder } from "../trainer/temporary-folder.ts";
import { fixturePath } from "./fixtures.ts";

/** The same cases in every run; other seeds find other ones. */
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const cases = (numRuns: number) => ({ numRuns, seed: SEED });

/** A change at a place, 0..1 of the bytes. */
const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  kind: fc.constantFrom("set", "flip", "insert", "remove", "repeat", "cut"),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 8 }),
    fc.constantFrom(...["ffffffff", "00000080", "ffffffffffffffff", "0000000000000080"].map(fromHex)),
  ),
});

function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function mutated(original: Uint8Array, changes: readonly Change[]): Uint8Array {
  return changes.reduce<Uint8Array>((bytes, { at, kind, bytes: given }) => {
    const i = Math.min(Math.floor(at * bytes.length), Math.max(0, bytes.length - 1));
    const [head, tail] = [bytes.subarray(0, i), bytes.subarray(i)];
    switch (kind) {
      case "set":
        return Buffer.concat([head, given.subarray(0, tail.length), tail.subarray(given.length)]);
      case "flip":
        return Buffer.concat([
          head,
          Uint8Array.from(tail.subarray(0, 1), (b) => b ^ given[0]!),
          tail.subarray(1),
        ]);
      case "insert":
        return Buffer.concat([head, given, tail]);
      case "remove":
        return Buffer.concat([head, tail.subarray(given.length)]);
      case "repeat":
        return Buffer.concat([head, tail.subarray(0, 64), tail]);
      case "cut":
        return head;
    }
  }, original);
}

const changes = fc.array(change, { minLength: 1, maxLength: 4 });

/** The entry of a zip of stored entries, by its name. */
function stored(file: Buffer, name: string): Buffer {
  const at = file.indexOf(name);
  const header = at - 30;
  const from = at + file.readUInt16LE(header + 26) + file.readUInt16LE(header + 28);
  return file.subarray(from, file.indexOf("PK", from));
}

describe("any bytes", () => {
  const folder = temporaryFolder();

  /** Opens and reads all; true where it was read. */
  const readAll = async (bytes: Uint8Array): Promise<boolean> => {
    const path = join(folder(), "weights");
    writeFileSync(path, bytes);
    try {
      const weights = await openWeights(path);
      const stored = networkFor(weights, "teacher");
      const { backbone } = inferBackbone(path, stored, { numHeads: 2 });
      const wanted = stored.tensors.map(({ name, shape }) => ({ name: `backbone.${name}`, shape }));
      const { values } = matchWeights(wanted, stored);
      for await (const [, value] of values()) assert.ok(value instanceof Float32Array);
      for (const tensor of stored.tensors) await tensor.read();
      assert.ok(backbone.depth > 0);
      return true;
    } catch (error) {
      if (!(error instanceof RelataError)) throw error;
      assert.match(error.code, /^WEIGHTS_(DAMAGED|FORMAT|MISMATCH)$/);
      return false;
    }
  };

  for (const [name, runs] of [
    ["timm.safetensors", 500],
    ["registers.safetensors", 300],
    ["dino.pth", 500],
  ] as const) {
    it(`of a changed ${name} end in a code`, async () => {
      const original = readFileSync(fixturePath(name));
      assert.ok(await readAll(original));
      const header = name.endsWith("safetensors") ? 8 + Number(original.readBigUInt64LE()) : 0;
      let refused = 0;
      await fc.assert(
        fc.asyncProperty(changes, fc.boolean(), async (changes, inHeader) => {
          // The header is small: half of the changes are for it alone.
          const bytes =
            header > 0 && inHeader
              ? Buffer.concat([mutated(original.subarray(0, header), changes), original.subarray(header)])
              : mutated(original, changes);
          refused += (await readAll(bytes)) ? 0 : 1;
        }),
        cases(runs),
      );
      assert.ok(refused > runs / 10, `only ${refused} were refused: the changes change nothing`);
    });
  }

  it("of a changed zip of every type end in a code", async () => {
    const original = readFileSync(fixturePath("odd.pth"));
    const path = join(folder(), "odd.pth");
    await fc.assert(
      fc.asyncProperty(changes, async (changes) => {
        writeFileSync(path, mutated(original, changes));
        try {
          for (const tensor of (await openPyTorch(path)).tensors) await tensor.read();
        } catch (error) {
          assert.ok(error instanceof RelataError && error.code.startsWith("WEIGHTS_"), String(error));
        }
      }),
      cases(500),
    );
  });

  /** Read, or refused by what becomes WEIGHTS_DAMAGED. */
  const unpickled = (bytes: Uint8Array): void => {
    try {
      namedViews(unpickleTorch(bytes));
    } catch (error) {
      const refused = error instanceof RangeError || error instanceof SyntaxError;
      if (!refused || /call stack|Invalid (array|string) length/.test(error.message)) throw error;
    }
  };

  it("of a changed pickle are read or refused", () => {
    for (const name of ["dino", "odd"]) {
      const original = stored(readFileSync(fixturePath(`${name}.pth`)), `${name}/data.pkl`);
      assert.equal(original[0], 0x80);
      fc.assert(
        fc.property(changes, (changes) => unpickled(mutated(original, changes))),
        cases(2000),
      );
    }
  });

  it("of operations in any order are read or refused", () => {
    const operation = fc.oneof(
      fc.constantFrom(
        ..."NN((t)]}}aesub0212RQh\0h\x01q\0q\x01\x85\x86\x87\x81\x88\x93\x94\x8f\x90\x91\x92.".split(""),
      ),
      fc.constantFrom(
        "ctorch._utils\n_rebuild_tensor_v2\n",
        "ccollections\nOrderedDict\n",
        "ctorch\nFloatStorage\n",
      ),
      fc.constantFrom(
        "(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" + "0NK\x06tQ",
        "K\x02",
        "X\x01\0\0\0w",
      ),
      fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) =>
        unpickled(Buffer.from(`${operations.join("")}.`, "latin1")),
      ),
      cases(5000),
    );
  });

  it("of any kind end in a code", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom("", "PK\x03\x04", "\x80\x02"),
        (bytes, head) =>
          readAll(Buffer.concat([Buffer.from(head, "latin1"), bytes])).then((read) =>
            assert.equal(read, false),
          ),
      ),
      cases(300),
    );
  });
});
