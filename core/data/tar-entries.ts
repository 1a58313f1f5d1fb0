/** The files in a tar archive and where they lie in it, from the headers alone. */
import { Header, Pax } from "tar";
import type { FileAccess } from "./file-reader.ts";
import { COPY_FIX } from "./shards.ts";

export interface TarEntry {
  readonly name: string;
  /** Of its first byte in the archive. */
  readonly offset: number;
  readonly length: number;
  /** All of its bytes; for small files, which lie among the headers. */
  read(): Promise<Buffer>;
}

/** What is wrong with an archive, and what to do. */
export class TarError extends Error {
  readonly fix: string;

  constructor(message: string, fix = COPY_FIX) {
    super(message);
    this.fix = fix;
  }
}

const BLOCK = 512;
/** Of names and attributes that do not fit into a header. */
const MAX_EXTENSION_BYTES = 2 ** 20;
/** Read at a time where files are small, so that headers lie close together; and where they are not. */
const READ_AHEAD = { small: 2 ** 18, large: 4 * BLOCK } as const;
const SMALL_FILE = 2 ** 15;

/**
 * Regular files of an archive in the formats v7, ustar, pax and GNU, in order. Links, folders and devices are left out.
 *
 * @throws TarError for a damaged, truncated or compressed archive; ReadError
 */
export async function* tarEntries(file: FileAccess): AsyncGenerator<TarEntry, void, undefined> {
  const blocks = new ReadAhead(file);
  let pax: Pax | undefined;
  let globalPax: Pax | undefined;
  let longName: string | undefined;
  for (let at = 0; at < file.size;) {
    const block = await blocks.read(at, Math.min(BLOCK, file.size - at));
    if (at === 0) refuseCompressed(block);
    if (block.length < BLOCK) throw new TarError(`it ends within the header at byte ${at}`);
    const header = parseHeader(block, at, pax, globalPax);
    // Two empty blocks end an archive, one is enough for readers.
    if (header.nullBlock) return;
    const offset = at + BLOCK;
    const length = header.size ?? 0;
    if (offset + length > file.size)
      throw new TarError(
        `it is truncated: ${header.path} would end at byte ${offset + length} of ${file.size}`,
      );
    at = offset + Math.ceil(length / BLOCK) * BLOCK;
    const text = () => extension(blocks, offset, length);
    switch (header.type) {
      case "ExtendedHeader":
      case "OldExtendedHeader":
        pax = Pax.parse(await text(), pax);
        continue;
      case "GlobalExtendedHeader":
        globalPax = Pax.parse(await text(), globalPax, true);
        continue;
      case "NextFileHasLongPath":
      case "OldGnuLongPath":
        longName = (await text()).replace(/\0[^]*/, "");
        continue;
      case "NextFileHasLongLinkpath":
        continue;
      case "File":
      case "OldFile":
      case "ContiguousFile":
        blocks.ahead = length < SMALL_FILE ? READ_AHEAD.small : READ_AHEAD.large;
        yield {
          name: longName ?? header.path ?? "",
          offset,
          length,
          read: () => blocks.read(offset, length),
        };
        break;
      default:
        break;
    }
    pax = longName = undefined;
  }
}

function parseHeader(block: Buffer, at: number, pax: Pax | undefined, globalPax: Pax | undefined): Header {
  let header: Header;
  try {
    header = new Header(block, 0, pax, globalPax);
  } catch {
    throw new TarError(`the header at byte ${at} is damaged`);
  }
  if (header.nullBlock) return header;
  if (!header.cksumValid)
    throw new TarError(at === 0 ? "it is no tar archive" : `the header at byte ${at} is damaged`);
  if (!Number.isSafeInteger(header.size ?? 0))
    throw new TarError(`the header at byte ${at} has an impossible size`);
  return header;
}

async function extension(blocks: ReadAhead, offset: number, length: number): Promise<string> {
  if (length > MAX_EXTENSION_BYTES)
    throw new TarError(`the name at byte ${offset} has ${(length / 1e6).toFixed(1)} MB`);
  return (await blocks.read(offset, length)).toString("utf8");
}

/** The first bytes of formats that a tar archive is often packed into. */
const COMPRESSED = [
  { name: "gzip", magic: [0x1f, 0x8b] },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68] },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd] },
] as const;

function refuseCompressed(block: Buffer): void {
  for (const { name, magic } of COMPRESSED) {
    if (magic.every((byte, i) => block[i] === byte))
      throw new TarError(
        `it is compressed with ${name}, so that no image of it can be read alone`,
        "unpack it to a plain .tar, which is hardly larger: images are compressed already",
      );
  }
}

/** Reads more than is asked for, in case that what follows is asked for next. */
class ReadAhead {
  ahead: number = READ_AHEAD.small;
  private readonly file: FileAccess;
  private start = 0;
  private bytes = Buffer.alloc(0);

  constructor(file: FileAccess) {
    this.file = file;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    if (offset < this.start || offset + length > this.start + this.bytes.length) {
      this.bytes = await this.file.read(
        offset,
        Math.min(Math.max(length, this.ahead), this.file.size - offset),
      );
      this.start = offset;
    }
    return this.bytes.subarray(offset - this.start, offset - this.start + length);
  }
}
