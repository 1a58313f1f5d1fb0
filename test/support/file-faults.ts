/** Makes calls of `node:fs/promises` fail, or end the process, at a chosen one. */
import { promises, type PathLike } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

/** What changes a file or its name, in the order of the calls. */
export interface FileCall {
  readonly operation: "mkdir" | "open" | "write" | "sync" | "rename" | "rm";
  readonly path: string;
}

/** Told before each call on a path that has `part` in it; may throw. Gives what ends it. */
export function watchFiles(part: string, before: (call: FileCall) => void): () => void {
  const { mkdir, open, rename, rm } = promises;
  const tell = (operation: FileCall["operation"], path: PathLike) => {
    if (String(path).includes(part)) before({ operation, path: String(path) });
  };
  const set = (functions: object) => {
    Object.assign(promises, functions);
    syncBuiltinESMExports();
  };
  set({
    mkdir: async (...args: Parameters<typeof mkdir>) => {
      tell("mkdir", args[0]);
      return mkdir(...args);
    },
    open: async (...args: Parameters<typeof open>) => {
      const writes = args[1] === "w";
      if (writes) tell("open", args[0]);
      const file = await open(...args);
      return writes ? watched(file, (operation) => tell(operation, args[0])) : file;
    },
    rename: async (...args: Parameters<typeof rename>) => {
      tell("rename", args[1]);
      return rename(...args);
    },
    rm: async (...args: Parameters<typeof rm>) => {
      tell("rm", args[0]);
      return rm(...args);
    },
  });
  return () => set({ mkdir, open, rename, rm });
}

function watched(file: FileHandle, tell: (operation: "write" | "sync") => void): FileHandle {
  const [writeFile, sync] = [file.writeFile.bind(file), file.sync.bind(file)];
  return Object.assign(file, {
    writeFile: async (...args: Parameters<typeof writeFile>) => {
      tell("write");
      return writeFile(...args);
    },
    sync: async () => {
      tell("sync");
      return sync();
    },
  });
}

/** As the system says that a disk is full. */
export const diskFull = () => Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
