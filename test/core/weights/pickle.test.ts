import assert from "node:assert/strict";
import { GlobalName, Placeholder, unpickle, type PickleRules } from "../../../core/weights/pickle.ts";
import { namedViews, unpickleTorch } from "../../../core/weights/torch-pickle.ts";

const inert: PickleRules = { persistent: (id) => ({ id }), call: () => undefined };

/** Texts are Latin-1 bytes, numbers are single ones. */
const bytesOf = (...parts: readonly (string | number)[]) =>
  Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.of(part))),
  );

const read = (...parts: readonly (string | number)[]) => unpickle(bytesOf(0x80, 2, ...parts, "."), inert);
const text = (value: string) => `X${String.fromCharCode(value.length)}\0\0\0${value}`;

describe("a pickle", () => {
  it("gives dictionaries, lists, tuples, sets, texts, bytes and numbers", () => {
    assert.deepEqual(
      read(
        "}",
        "(",
        text("a"),
        "]",
        "(",
        "K",
        7,
        "M",
        1,
        2,
        "J",
        254,
        255,
        255,
        255,
        "e",
        text("b"),
        "N",
        "u",
      ),
      new Map<string, unknown>([
        ["a", [7, 513, -2]],
        ["b", null],
      ]),
    );
    assert.deepEqual(read(0x88, 0x89, "K", 1, 0x87), [true, false, 1]);
    assert.deepEqual(read(0x8f, "(", "K", 1, "K", 1, 0x90), new Set([1]));
    assert.deepEqual(read("G", "\x3f\xf8\0\0\0\0\0\0"), 1.5);
    assert.deepEqual(read("C", 2, "\0\xff"), Uint8Array.of(0, 255));
    assert.deepEqual(read(0x8a, 2, "\xff\x7f"), 32767);
    assert.deepEqual(read(0x8a, 1, "\xff"), -1);
    assert.deepEqual(read(0x8a, 8, "\0\0\0\0\0\0\0\x80"), -(2n ** 63n));
    assert.deepEqual(read(0x8c, 2, "\xc3\xa4"), "ä");
  });

  it("remembers objects, which stay the same", () => {
    const [first, second] = read("]", "q", 3, "h", 3, 0x86) as unknown[];
    assert.equal(first, second);
    const [one, two] = read("}", 0x94, "h", 0, 0x86) as unknown[];
    assert.equal(one, two);
  });

  it("calls nothing: classes and functions are names, their objects placeholders without a state", () => {
    const system = read("cos\nsystem\n", text("echo relata"), 0x85, "R") as Placeholder;
    assert.ok(system instanceof Placeholder);
    assert.equal(system.path, "os.system");
    assert.deepEqual(read("cbuiltins\neval\n"), new GlobalName("builtins.eval"));
    const state = ["}", text("__class__"), text("x"), "s", "b"] as const;
    const object = read("cargparse\nNamespace\n", ")", 0x81, ...state) as Placeholder;
    assert.deepEqual(Object.keys(object), ["path"]);
    const filled = read("cmine\nDict\n", ")", "R", "(", text("a"), "K", 1, "u", text("b"), "K", 2, "s");
    assert.deepEqual(filled, new Placeholder("mine.Dict"));
    assert.deepEqual(read(text("os"), text("system"), 0x93), new GlobalName("os.system"));
  });

  it("of torch.save builds tensors of storages, and no other object", () => {
    const storage = [
      "(",
      text("storage"),
      "ctorch\nFloatStorage\n",
      text("0"),
      text("cpu"),
      "K",
      6,
      "t",
      "Q",
    ];
    const tensor = (...shape: readonly (string | number)[]) =>
      bytesOf(
        "}",
        text("w"),
        "ctorch._utils\n_rebuild_tensor_v2\n",
        "(",
        ...storage,
        "K",
        0,
        ...shape,
        0x89,
        "N",
        "t",
        "Rs.",
      );
    const { views } = namedViews(unpickleTorch(tensor("K", 2, "K", 3, 0x86, "K", 3, "K", 1, 0x86)));
    const view = views.get("w")!;
    assert.deepEqual([view.shape, view.strides, view.offset, view.end], [[2, 3], [3, 1], 0, 6]);
    assert.deepEqual([view.storage.key, view.storage.dtype, view.storage.elements], ["0", "F32", 6]);
    const beyond = tensor("K", 3, "K", 3, 0x86, "K", 3, "K", 1, 0x86);
    assert.throws(() => unpickleTorch(beyond), /beyond its storage/);
    const negative = tensor("J", "\xff\xff\xff\xff", 0x85, "K", 1, 0x85);
    assert.throws(() => unpickleTorch(negative), /makes no tensor/);
    const uneven = tensor("K", 2, 0x85, "K", 3, "K", 1, 0x86);
    assert.throws(() => unpickleTorch(uneven), /another number of strides/);
    assert.throws(() => unpickleTorch(bytesOf(text("0"), "Q.")), /no storage/);
  });

  const refused = (problem: RegExp, ...parts: readonly (string | number)[]) =>
    assert.throws(() => read(...parts), problem);

  it("is refused where its operations are not torch.save's, or do not fit", () => {
    refused(/0x69 at byte 2/, "i");
    refused(/newer than 5/, 0x80, 6);
    refused(/ends too early/, "K");
    refused(/ends too early/, "X", 0xff, 0xff, 0xff, 0xff);
    refused(/ends too early/, 0x8d, "\xff\xff\xff\xff\xff\xff\xff\xff");
    refused(/ends too early/, "cos\nsystem");
    refused(/stack is empty/);
    refused(/stack is empty/, "]", "(", "a");
    refused(/no mark/, "e");
    refused(/remembers nothing/, "h", 1);
    refused(/no list/, ")", "K", 1, "a");
    refused(/no dictionary/, "]", "K", 1, "K", 2, "s");
    refused(/no dictionary/, "}", "(", "K", 1, "u");
    refused(/no set/, "]", "(", 0x90);
    refused(/no function/, text("x"), ")", "R");
    refused(/without arguments/, "cos\nsystem\n", "N", "R");
    refused(/by what is no text/, "N", "N", 0x93);
    refused(/an integer of/, 0x8b, 0, 1, 0, 0);
  });

  it("made to exhaust the memory or the stack is refused", () => {
    const many = (operation: string, count: number) => unpickle(bytesOf(operation.repeat(count), "."), inert);
    assert.throws(() => many("}", 600_000), /more than 500000 objects/);
    assert.throws(() => many("N", 4_000_001), /more than 4000000 operations/);
    // Lists in lists are no recursion here; dictionaries in dictionaries would be one when tensors are looked for.
    assert.ok(Array.isArray(many("]".repeat(2000) + "a".repeat(1999), 1)));
    const nested = bytesOf(
      "}",
      ...Array.from({ length: 20 }, () => [text("a"), "}"]).flat(),
      "s".repeat(20),
      ".",
    );
    assert.throws(() => namedViews(unpickleTorch(nested)), /deep in one another/);
    const cyclic = bytesOf("}", "q", 0, text("a"), "h", 0, "s", ".");
    assert.throws(() => namedViews(unpickleTorch(cyclic)), /deep in one another/);
    // Each dictionary has the one before it ten times: 10^7 entries of 70.
    const keys = Array.from({ length: 10 }, (_, i) => text(String(i)));
    const level = (i: number) => ["}", "q", i, "(", ...keys.flatMap((key) => [key, "h", i - 1]), "u"];
    const laughs = bytesOf("}", "q", 0, ...[1, 2, 3, 4, 5, 6, 7].flatMap(level), ".");
    assert.throws(() => namedViews(unpickleTorch(laughs)), /more than 200000 entries/);
  });
});
