/**
 * TensorBoard event files: TFRecords of TensorFlow's `Event` messages (tensorflow/core/util/event.proto and
 * framework/summary.proto). Only the few fields that scalars and images need are written, by hand.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { maskedCrc32c } from "./crc32c.ts";

/** Bytes kept before they are written by themselves. */
const BUFFER_BYTES = 64 * 1024;

export class EventWriter {
  readonly path: string;
  private readonly file: number;
  private pending: Buffer[] = [];
  private pendingBytes = 0;

  private constructor(path: string) {
    this.path = path;
    this.file = openSync(path, "ax");
  }

  /**
   * Starts a new event file in `folder`; files that are there are left as they are, and TensorBoard reads all
   * of them in order.
   *
   * @param options.resumeStep a resumed run: TensorBoard drops what earlier files hold from this step on.
   * @param options.wallTime seconds since 1970 (default: now).
   */
  static open(folder: string, options: { resumeStep?: number; wallTime?: number } = {}): EventWriter {
    const { resumeStep, wallTime = Date.now() / 1000 } = options;
    mkdirSync(folder, { recursive: true });
    // Read in the order of their names, so the name's time is later than all others', also where the clock went back.
    const time = Math.max(Math.floor(wallTime), ...timesIn(folder).map((earlier) => earlier + 1));
    const name = `events.out.tfevents.${String(time).padStart(10, "0")}.relata.${process.pid}`;
    const writer = new EventWriter(join(folder, name));
    writer.add(wallTime, 0, text(FILE_VERSION, "brain.Event:2"));
    if (resumeStep !== undefined) writer.add(wallTime, resumeStep, bytes(SESSION_LOG, varint(STATUS, START)));
    writer.flush();
    return writer;
  }

  /** Adds one point of the curve `tag`. A value that is not finite is kept: TensorBoard marks it. */
  scalar(tag: string, value: number, step: number, wallTime = Date.now() / 1000): void {
    this.add(wallTime, step, summary(tag, float32(SIMPLE_VALUE, value)));
  }

  /** Adds a PNG of the given size in pixels. */
  image(
    tag: string,
    image: { png: Uint8Array; width: number; height: number },
    step: number,
    wallTime = Date.now() / 1000,
  ): void {
    const fields = Buffer.concat([
      varint(HEIGHT, image.height),
      varint(WIDTH, image.width),
      varint(COLORSPACE, RGB),
      bytes(ENCODED_IMAGE, image.png),
    ]);
    this.add(wallTime, step, summary(tag, bytes(IMAGE, fields)));
  }

  /** Writes what is pending, so that a running TensorBoard shows it. */
  flush(): void {
    if (this.pendingBytes === 0) return;
    const data = Buffer.concat(this.pending);
    for (let at = 0; at < data.length;) at += writeSync(this.file, data, at);
    this.pending = [];
    this.pendingBytes = 0;
  }

  close(): void {
    this.flush();
    fsyncSync(this.file);
    closeSync(this.file);
  }

  private add(wallTime: number, step: number, what: Buffer): void {
    const record = frame(Buffer.concat([float64(WALL_TIME, wallTime), varint(STEP, step), what]));
    this.pending.push(record);
    this.pendingBytes += record.length;
    if (this.pendingBytes >= BUFFER_BYTES) this.flush();
  }
}

/** Of the event files in a folder, the times in their names. */
function timesIn(folder: string): number[] {
  const names = readdirSync(folder).map((name) => /^events\.out\.tfevents\.(\d+)\./.exec(name)?.[1]);
  return names.flatMap((time) => (time === undefined ? [] : Number(time)));
}

/** A TFRecord: length (uint64), its checksum, the data, its checksum; little-endian. */
function frame(data: Buffer): Buffer {
  const record = Buffer.alloc(data.length + 16);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  data.copy(record, 12);
  record.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return record;
}

// Field numbers of Event, SessionLog, Summary, Summary.Value and Summary.Image.
const WALL_TIME = 1;
const STEP = 2;
const FILE_VERSION = 3;
const SUMMARY = 5;
const SESSION_LOG = 7;
const STATUS = 1;
const START = 1;
const VALUE = 1;
const TAG = 1;
const SIMPLE_VALUE = 2;
const IMAGE = 4;
const HEIGHT = 1;
const WIDTH = 2;
const COLORSPACE = 3;
const RGB = 3;
const ENCODED_IMAGE = 4;

function summary(tag: string, value: Buffer): Buffer {
  return bytes(SUMMARY, bytes(VALUE, Buffer.concat([text(TAG, tag), value])));
}

// Protocol Buffers wire format: a field's key is its number and type, then the value.
function varintBytes(value: number): number[] {
  const out = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return [...out, rest];
}

const key = (field: number, type: number): number[] => varintBytes(field * 8 + type);

/** Like protobuf, leaves out the default, 0. */
function varint(field: number, value: number): Buffer {
  if (value === 0) return Buffer.alloc(0);
  return Buffer.from([...key(field, 0), ...varintBytes(value)]);
}

function float64(field: number, value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeDoubleLE(value);
  return Buffer.concat([Buffer.from(key(field, 1)), out]);
}

function bytes(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([...key(field, 2), ...varintBytes(value.length)]), value]);
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value, "utf8"));
}

function float32(field: number, value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeFloatLE(value);
  return Buffer.concat([Buffer.from(key(field, 5)), out]);
}
