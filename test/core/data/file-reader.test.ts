import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { FileReader, ReadError, type FileReaderOptions } from "../../../core/data/file-reader.ts";
import { temporaryFolder, writeAt } from "./image-files.ts";
import { ioError, unreliable } from "./unreliable-files.ts";

const quick: FileReaderOptions = { backoffMs: 1 };

describe("FileReader", () => {
  const folder = temporaryFolder();
  let path: string;
  before(async () => {
    path = await writeAt(join(folder(), "file"), "0123456789");
  });

  it("reads whole files and parts of them", async () => {
    const reader = new FileReader();
    assert.equal(String(await reader.read(path)), "0123456789");
    assert.equal(String(await reader.read(path, { offset: 3, length: 4 })), "3456");
    const parts = await reader.using(path, async ({ size, read }) => [size, String(await read(8, 2))]);
    assert.deepEqual(parts, [10, "89"]);
  });

  it("tries a read that fails again, and gives up after the third", async () => {
    const twice = unreliable((_, read) => (read < 2 ? ioError() : undefined));
    assert.equal(String(await new FileReader({ ...quick, fileSystem: twice }).read(path)), "0123456789");
    assert.equal(twice.reads, 3);
    const always = unreliable(ioError);
    const failed = new FileReader({ ...quick, fileSystem: always }).read(path);
    await assert.rejects(failed, (error: Error) => {
      return error instanceof ReadError && /EIO: i\/o error, read \(tried 3 times\)/.test(error.message);
    });
    assert.deepEqual([always.reads, always.opened, twice.opened], [3, 0, 0]);
  });

  it("does not wait for ever for one that does not answer", async () => {
    const once = unreliable((_, read) => (read < 1 ? "never" : undefined));
    const options = { ...quick, timeoutSeconds: 0.05 };
    assert.equal(String(await new FileReader({ ...options, fileSystem: once }).read(path)), "0123456789");
    const never = unreliable(() => "never");
    await assert.rejects(new FileReader({ ...options, fileSystem: never }).read(path), {
      message: "no answer within 0.05 s (tried 2 times)",
    });
    assert.equal(never.reads, 2);
  });

  it("closes a file that is opened too late", async () => {
    let closed = 0;
    const reader = new FileReader({
      ...quick,
      timeoutSeconds: 0.02,
      fileSystem: {
        open: async (name, flags) => {
          await new Promise((resolve) => setTimeout(resolve, 60));
          const file = await open(name, flags);
          return {
            stat: () => file.stat(),
            read: (...args) => file.read(...args),
            close: async () => {
              closed++;
              await file.close();
            },
          };
        },
      },
    });
    await assert.rejects(
      reader.using(path, () => Promise.resolve()),
      ReadError,
    );
    await new Promise((resolve) => setTimeout(resolve, 120));
    assert.equal(closed, 2);
  });

  it("takes a file that is missing, or ends too early, for one that cannot be read", async () => {
    const reader = new FileReader(quick);
    await assert.rejects(reader.read(join(folder(), "none")), {
      constructor: ReadError,
      message: /ENOENT.*3 times/,
    });
    await assert.rejects(reader.read(path, { offset: 8, length: 4 }), { message: /ends 2 bytes too early/ });
    const short = unreliable(() => "short");
    await assert.rejects(new FileReader({ ...quick, fileSystem: short }).read(path), {
      message: /ends 10 bytes/,
    });
    await assert.rejects(reader.read(path, { offset: 0, length: 2 ** 31 }), {
      message: /2\.1 GB are too much/,
    });
  });

  it("leaves errors of who uses the file as they are, and closes it", async () => {
    const files = unreliable(() => undefined);
    const reader = new FileReader({ ...quick, fileSystem: files });
    await assert.rejects(
      reader.using(path, () => Promise.reject(new TypeError("mine"))),
      { name: "TypeError", message: "mine" },
    );
    assert.equal(files.opened, 0);
  });
});
