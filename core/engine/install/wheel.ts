/** Reads a wheel (a zip): what it is, what it asks for, and single files, checked against its own RECORD. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { Transform } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import yauzl from "yauzl";
import { errors, RelataError } from "../../errors.ts";

export interface WheelEntry {
  /** The path inside the wheel. */
  readonly path: string;
  /** Unpacked size in bytes. */
  readonly bytes: number;
}

/** Called with the bytes done so far, a few times a second at most. */
export type OnBytes = (bytes: number) => void;

export interface Wheel {
  readonly file: string;
  /** The project's name, lower case with hyphens: "tensorflow-cpu". */
  readonly project: string;
  readonly version: string;
  /** "cp311-cp311-manylinux_2_27_x86_64" … */
  readonly tags: readonly string[];
  /** The Requires-Dist lines. */
  readonly requires: readonly string[];
  readonly entries: readonly WheelEntry[];
  /** Writes one entry to `target` and checks it against RECORD. Throws WHEEL_INVALID. */
  extract(
    entry: WheelEntry,
    target: string,
    options?: { onBytes?: OnBytes; signal?: AbortSignal },
  ): Promise<void>;
  close(): void;
}

const STEP = 8 << 20;

/** Opens a wheel. Throws WHEEL_INVALID for a file that is not one. */
export async function openWheel(file: string): Promise<Wheel> {
  let zip: yauzl.ZipFile | undefined;
  try {
    zip = await yauzl.openPromise(file, { autoClose: false });
    return await readWheel(file, zip);
  } catch (error) {
    zip?.close();
    if (error instanceof RelataError) throw error;
    throw errors.wheelInvalid(file, `is not a readable wheel: ${(error as Error).message}`).because(error);
  }
}

async function readWheel(file: string, zip: yauzl.ZipFile): Promise<Wheel> {
  const entries = new Map<string, yauzl.Entry>();
  for await (const entry of zip.eachEntry()) entries.set(entry.fileName, entry);
  const info = [...entries.keys()].find((name) => /^[^/]+\.dist-info\/METADATA$/.test(name));
  if (!info) throw errors.wheelInvalid(file, "has no METADATA, so it is not a Python wheel");
  const folder = path.posix.dirname(info);
  const read = async (name: string): Promise<string> => {
    const entry = entries.get(`${folder}/${name}`);
    return entry ? text(await zip.openReadStreamPromise(entry)) : "";
  };
  const metadata = headers(await read("METADATA"));
  const checksums = recordChecksums(await read("RECORD"));

  return {
    file,
    project: (metadata.get("Name")?.[0] ?? "").toLowerCase().replace(/[-_.]+/g, "-"),
    version: metadata.get("Version")?.[0] ?? "",
    tags: headers(await read("WHEEL")).get("Tag") ?? [],
    requires: metadata.get("Requires-Dist") ?? [],
    entries: [...entries.values()]
      .filter((entry) => !entry.fileName.endsWith("/"))
      .map((entry) => ({ path: entry.fileName, bytes: entry.uncompressedSize })),
    async extract(entry, target, { onBytes, signal } = {}) {
      await mkdir(path.dirname(target), { recursive: true });
      const hash = createHash("sha256");
      await pipeline(
        await zip.openReadStreamPromise(entries.get(entry.path)!),
        meter((chunk) => hash.update(chunk), onBytes),
        createWriteStream(target, { mode: entry.path.includes("/bin/") ? 0o755 : 0o644 }),
        { signal },
      );
      // The zip reader checks sizes only.
      if (hash.digest("base64url") !== checksums.get(entry.path)) {
        throw errors.wheelInvalid(file, `is damaged: ${entry.path} differs from the wheel's RECORD`);
      }
    },
    close: () => zip.close(),
  };
}

/** "Key: value" lines up to the first empty line, as in a mail header. */
function headers(source: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of source.split(/\r?\n/)) {
    if (line === "") break;
    const match = /^([A-Za-z-]+): (.*)$/.exec(line);
    if (match) found.set(match[1]!, [...(found.get(match[1]!) ?? []), match[2]!.trim()]);
  }
  return found;
}

/** RECORD's lines are `path,sha256=<base64url>,size`. */
function recordChecksums(record: string): Map<string, string> {
  const checksums = new Map<string, string>();
  for (const line of record.split(/\r?\n/)) {
    const match = /^"?(.+?)"?,sha256=([\w-]+),\d*$/.exec(line);
    if (match) checksums.set(match[1]!, match[2]!);
  }
  return checksums;
}

function meter(see: (chunk: Buffer) => void, onBytes: OnBytes | undefined): Transform {
  let bytes = 0;
  let told = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      see(chunk);
      bytes += chunk.length;
      if (bytes - told >= STEP) onBytes?.((told = bytes));
      done(null, chunk);
    },
    flush(done) {
      if (bytes > told) onBytes?.(bytes);
      done();
    },
  });
}

/** SHA-256 of a file, in hex. */
export async function fileChecksum(
  file: string,
  { onBytes, signal }: { onBytes?: OnBytes; signal?: AbortSignal } = {},
): Promise<string> {
  const hash = createHash("sha256");
  const sink = meter((chunk) => hash.update(chunk), onBytes).resume();
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), sink, { signal });
  return hash.digest("hex");
}
