/** File systems that fail, for tests. */
import { open } from "node:fs/promises";
import type { FileSystem, OpenFile } from "../../../core/data/file-reader.ts";

export const ioError = () => Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });

/** Reads go through `fails` first: an error that it gives is thrown, "never" is no answer, "short" is no byte. */
export function unreliable(
  fails: (path: string, read: number) => Error | "never" | "short" | undefined,
): FileSystem & { readonly reads: number; readonly opened: number } {
  const state = { reads: 0, opened: 0 };
  return {
    get reads() {
      return state.reads;
    },
    get opened() {
      return state.opened;
    },
    async open(path, flags): Promise<OpenFile> {
      const file = await open(path, flags);
      state.opened++;
      return {
        stat: () => file.stat(),
        async read(buffer, offset, length, position) {
          const failure = fails(path, state.reads++);
          if (failure instanceof Error) throw failure;
          if (failure === "never") {
            // Nobody will: who waits for an answer has not got the file.
            await file.close();
            return new Promise(() => undefined);
          }
          if (failure === "short") return { bytesRead: 0 };
          return file.read(buffer, offset, length, position);
        },
        close: async () => {
          state.opened--;
          await file.close();
        },
      };
    },
  };
}
