/** Reading files from a disk or network that may fail: again after an error, and never without end. */
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** The part of the file system that is used, as node:fs/promises has it. */
export interface FileSystem {
  open(path: string, flags: "r"): Promise<OpenFile>;
}

export interface OpenFile {
  stat(): Promise<{ readonly size: number }>;
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  close(): Promise<void>;
}

export interface FileReaderOptions {
  readonly fileSystem?: FileSystem;
  /** Of one try. Default 60. */
  readonly timeoutSeconds?: number;
  /** Before the second try; five times as much before the third. Default 50. */
  readonly backoffMs?: number;
}

/** Of one part of a file: what is larger is no image that could be decoded. */
const MAX_BYTES = 2 ** 30;
/** Of a read that fails. */
const TRIES = 3;
/** Of a read that does not answer: each costs the whole timeout. */
const SLOW_TRIES = 2;

/** A file cannot be read, although it was tried again. Says nothing of what is in it. */
export class ReadError extends Error {}

class Late extends Error {}

/** A file that is held open. Its reads are tried again too. */
export interface FileAccess {
  /** In bytes. */
  readonly size: number;
  /** @throws ReadError also where the file has fewer bytes */
  read(offset: number, length: number): Promise<Buffer<ArrayBuffer>>;
}

export class FileReader {
  private readonly fileSystem: FileSystem;
  private readonly timeoutMs: number;
  private readonly backoffMs: number;

  constructor({ fileSystem = { open }, timeoutSeconds = 60, backoffMs = 50 }: FileReaderOptions = {}) {
    this.fileSystem = fileSystem;
    this.timeoutMs = 1000 * timeoutSeconds;
    this.backoffMs = backoffMs;
  }

  /**
   * A whole file, or the bytes of a range.
   *
   * @throws ReadError
   */
  read(path: string, range?: { readonly offset: number; readonly length: number }): Promise<Buffer> {
    return this.tried(async () => {
      const file = await this.fileSystem.open(path, "r");
      try {
        const { offset, length } = range ?? { offset: 0, length: (await file.stat()).size };
        return await readFully(file, offset, length);
      } finally {
        await file.close();
      }
    });
  }

  /** @throws ReadError, and what `use` throws */
  async using<T>(path: string, use: (file: FileAccess) => Promise<T>): Promise<T> {
    const file = await this.tried(
      () => this.fileSystem.open(path, "r"),
      (late) => late.close(),
    );
    try {
      const { size } = await this.tried(() => file.stat());
      const read: FileAccess["read"] = (offset, length) => this.tried(() => readFully(file, offset, length));
      return await use({ size, read });
    } finally {
      await file.close();
    }
  }

  /** @param discard is given what comes too late to be used */
  private async tried<T>(work: () => Promise<T>, discard?: (late: T) => Promise<void>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.inTime(work(), discard);
      } catch (error) {
        if (error instanceof ReadError) throw error;
        if (attempt >= (error instanceof Late ? SLOW_TRIES : TRIES)) {
          const reason = error instanceof Error ? error.message : String(error);
          throw new ReadError(`${reason} (tried ${attempt} times)`, { cause: error });
        }
      }
      await sleep(this.backoffMs * 5 ** (attempt - 1));
    }
  }

  private async inTime<T>(work: Promise<T>, discard?: (late: T) => Promise<void>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Late(`no answer within ${this.timeoutMs / 1000} s`));
        work.then(discard).catch(() => undefined);
      }, this.timeoutMs);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function readFully(file: OpenFile, offset: number, length: number): Promise<Buffer<ArrayBuffer>> {
  if (length > MAX_BYTES) throw new ReadError(`${(length / 1e9).toFixed(1)} GB are too much for one read`);
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
    if (bytesRead === 0) throw new Error(`the file ends ${length - at} bytes too early`);
    at += bytesRead;
  }
  return bytes;
}
