/** Small wheels, pips and Pythons that stand for the real ones, and a machine made of them. */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { thisPlatform } from "../../../core/engine/install/wheels.ts";

const mac = process.platform === "darwin";
export const CC = mac ? "libtensorflow_cc.2.dylib" : "libtensorflow_cc.so.2";
export const FRAMEWORK = mac ? "libtensorflow_framework.2.dylib" : "libtensorflow_framework.so.2";

const tags: Record<string, string> = {
  "linux-x64": "cp311-cp311-manylinux_2_27_x86_64",
  "linux-arm64": "cp311-cp311-manylinux_2_27_aarch64",
  "darwin-arm64": "cp311-cp311-macosx_12_0_arm64",
};
/** The tag of a wheel for this machine. */
export const TAG = tags[thisPlatform()] ?? "none";

export interface FakeWheel {
  name?: string;
  version?: string;
  tag?: string;
  /** Part of the file name only. */
  build?: string;
  files?: Record<string, string>;
  requires?: string[];
  /** Files that RECORD gives a wrong checksum for. */
  damaged?: string[];
}

/** Writes a wheel into `folder` and returns its path. By default a TensorFlow that this platform can load. */
export function writeWheel(folder: string, wheel: FakeWheel = {}): string {
  const { name = "tensorflow_cpu", version = "2.21.0", tag = TAG, build = "1", requires = [] } = wheel;
  const files: Record<string, string> = { ...(wheel.files ?? libraries()) };
  const info = `${name}-${version}.dist-info`;
  const depends = requires.map((line) => `Requires-Dist: ${line}\n`).join("");
  files[`${info}/METADATA`] =
    `Metadata-Version: 2.4\nName: ${name}\nVersion: ${version}\n${depends}\nText.\n`;
  files[`${info}/WHEEL`] = `Wheel-Version: 1.0\nTag: ${tag}\n`;
  files[`${info}/RECORD`] = Object.entries(files)
    .map(([file, text]) => [file, wheel.damaged?.includes(file) ? `${text}!` : text] as const)
    .map(
      ([file, text]) =>
        `${file},sha256=${createHash("sha256").update(text).digest("base64url")},${text.length}\r\n`,
    )
    .join("");
  const file = path.join(folder, `${name}-${version}${build && `-${build}`}-${tag}.whl`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, zip(files));
  return file;
}

/** The two libraries of a TensorFlow wheel, and a file that is not kept. */
export const libraries = (): Record<string, string> => ({
  [`tensorflow/${CC}`]: "cc".repeat(5000),
  [`tensorflow/${FRAMEWORK}`]: "framework",
  "tensorflow/__init__.py": "raise SystemExit",
});

function zip(files: Record<string, string>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const plain = Buffer.from(text);
    const packed = deflateRawSync(plain);
    const shared = Buffer.alloc(26); // from "version needed" to "extra length"
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(8, 4); // deflate
    shared.writeUInt32LE(crc32(plain), 10);
    shared.writeUInt32LE(packed.length, 14);
    shared.writeUInt32LE(plain.length, 18);
    shared.writeUInt16LE(Buffer.byteLength(name), 22);
    parts.push(Buffer.from("PK\x03\x04"), shared, Buffer.from(name), packed);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x00"), shared, place, Buffer.from(name));
    offset += 30 + Buffer.byteLength(name) + packed.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(Object.keys(files).length, 8);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}

export interface PipBehaviour {
  version?: string;
  /** Project of a requirement to the wheel that is "downloaded". */
  wheels?: Record<string, string>;
  /** Lines on standard error before it fails. */
  fails?: string[];
  /** How long the download takes. */
  milliseconds?: number;
}

/** A machine of its own: an empty cache, a path with only what a test puts there, nothing else to find. */
export class Machine {
  readonly folder = mkdtempSync(path.join(tmpdir(), "relata-machine-"));
  readonly bin = path.join(this.folder, "bin");
  readonly cache = path.join(this.folder, "cache");
  readonly #environment = { ...process.env };

  constructor() {
    mkdirSync(this.bin);
    for (const name of ["RELATA_TENSORFLOW", "XDG_CACHE_HOME"]) delete process.env[name];
    process.env["PATH"] = this.bin;
    process.env["RELATA_CACHE"] = this.cache;
  }

  dispose(): void {
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, this.#environment);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Puts a program written in JavaScript on the path. */
  program(name: string, script: string): void {
    const file = path.join(this.bin, name);
    writeFileSync(file, `#!${process.execPath}\n${script}`);
    chmodSync(file, 0o755);
  }

  /** Puts a pip on the path that "downloads" by copying and notes how it was called. */
  pip({ version = "26.0", wheels = {}, fails, milliseconds = 0 }: PipBehaviour, name = "pip"): void {
    this.program(
      name,
      `const fs = require("node:fs"), path = require("node:path");
      const args = process.argv.slice(2).filter((arg) => arg !== "pip");
      if (args[0] === "--version") {
        console.log(${JSON.stringify(name)} === "uvx" ? "uvx ${version}" : "pip ${version} from somewhere (python 3.9)");
        process.exit(0);
      }
      fs.appendFileSync(${JSON.stringify(this.pipLog)}, JSON.stringify(args) + "\\n");
      const wheels = ${JSON.stringify(wheels)}, fails = ${JSON.stringify(fails ?? null)};
      const wanted = Object.entries(wheels).filter(([project]) => args.some((arg) => arg.match(/^[\\w.-]+/)?.[0] === project));
      const dest = args[args.indexOf("--dest") + 1];
      const raw = args[args.indexOf("--progress-bar") + 1] === "raw";
      for (const [, wheel] of wanted) {
        console.log("  Downloading " + path.basename(wheel) + " (1.5 MB)");
        if (raw) console.log("Progress 512 of 1024");
        fs.writeFileSync(path.join(process.env.TMPDIR, path.basename(wheel)), "x".repeat(700));
      }
      setTimeout(() => {
        for (const line of fails ?? []) console.error(line);
        if (fails) process.exit(1);
        for (const [, wheel] of wanted) fs.copyFileSync(wheel, path.join(dest, path.basename(wheel)));
        console.log("Successfully downloaded");
      }, ${milliseconds});`,
    );
  }

  get pipLog(): string {
    return path.join(this.folder, "pip.log");
  }

  /** The arguments of every download so far. */
  downloads(): string[][] {
    try {
      const lines = readFileSync(this.pipLog, "utf8").trim().split("\n");
      return lines.map((line) => JSON.parse(line) as string[]);
    } catch {
      return [];
    }
  }
}
