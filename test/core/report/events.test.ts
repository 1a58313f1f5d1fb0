import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { crc32c, maskedCrc32c } from "../../../core/report/crc32c.ts";
import { EventWriter } from "../../../core/report/events.ts";

describe("crc32c", () => {
  // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
  const vectors: [string, Uint8Array, number][] = [
    ["123456789", Buffer.from("123456789"), 0xe3069283],
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["0 … 31", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ["31 … 0", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ];
  for (const [name, data, crc] of vectors) {
    it(`of ${name}`, () => assert.equal(crc32c(data), crc));
  }

  it("is masked as in TensorBoard's own records", () => {
    // The length 24 and its checksum, from the first golden record below.
    assert.equal(maskedCrc32c(Buffer.from("1800000000000000", "hex")), 0x224b7fa3);
  });
});

describe("EventWriter", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "relata-events-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  /** The payloads of a TFRecord file, every checksum verified. */
  function records(path: string): Buffer[] {
    const data = readFileSync(path);
    const payloads = [];
    for (let at = 0; at < data.length;) {
      const length = Number(data.readBigUInt64LE(at));
      assert.equal(data.readUInt32LE(at + 8), maskedCrc32c(data.subarray(at, at + 8)));
      const payload = data.subarray(at + 12, at + 12 + length);
      assert.equal(data.readUInt32LE(at + 12 + length), maskedCrc32c(payload));
      payloads.push(payload);
      at += length + 16;
    }
    return payloads;
  }

  it("writes the bytes that TensorBoard writes", () => {
    // Golden: tensorboard 2.21.0, RecordWriter.write(event_pb2.Event(…).SerializeToString()).
    const golden = [
      "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a32eced8f9d",
      "100000000000000095fbfe180900000040fc54d94110ac023a02080195410618",
      "200000000000000029eda9500900006040fc54d94110ac022a120a100a096c6f73732f64696e6f1500002040b9a29654",
      "290000000000000037ff5f000900008040fc54d941108080808080202a170a150a057669657773220c080210c801" +
        "180322030102031803f422",
    ];
    const writer = EventWriter.open(folder, { wallTime: 1700000000, resumeStep: 300 });
    writer.scalar("loss/dino", 2.5, 300, 1700000001.5);
    writer.image("views", { png: Uint8Array.of(1, 2, 3), width: 200, height: 2 }, 2 ** 40, 1700000002);
    writer.close();
    assert.equal(readFileSync(writer.path).toString("hex"), golden.join(""));
  });

  it("frames every record with valid checksums, in the order of the calls", () => {
    const writer = EventWriter.open(folder);
    for (let step = 0; step < 3000; step++) writer.scalar("größe", step % 7 ? step / 3 : NaN, step);
    writer.close();
    const payloads = records(writer.path);
    assert.equal(payloads.length, 3001);
    const [tag, value] = [Buffer.from("größe"), 5 / 3];
    const payload = payloads[6]!;
    assert.ok(payload.includes(tag));
    assert.equal(payload.readFloatLE(payload.length - 4), Math.fround(value));
    assert.ok(Number.isNaN(payloads[1]!.readFloatLE(payloads[1]!.length - 4)));
  });

  it("can be read while it is open, once flushed", () => {
    const writer = EventWriter.open(folder);
    writer.scalar("loss", 1, 0);
    assert.equal(records(writer.path).length, 1);
    writer.flush();
    assert.equal(records(writer.path).length, 2);
    writer.close();
  });

  it("starts a file of its own, later in the order of names, and leaves the earlier ones", () => {
    const first = EventWriter.open(folder, { wallTime: 1700000000 });
    first.close();
    const before = readFileSync(first.path);
    const second = EventWriter.open(folder, { wallTime: 1700000000 });
    const later = EventWriter.open(join(folder), { wallTime: 1700000001 });
    second.close();
    later.close();
    assert.deepEqual(readFileSync(first.path), before);
    const names = [basename(first.path), basename(second.path), basename(later.path)];
    assert.deepEqual(readdirSync(folder).sort(), [...names].sort());
    assert.ok(names.every((name) => /^events\.out\.tfevents\.\d{10}\./.test(name)));
    assert.ok(names[2]! > names[1]!);
  });
});
