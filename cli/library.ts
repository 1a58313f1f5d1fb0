/** How the download of libtensorflow is told. */
import type { ComputeSettings } from "../core/trainer/frozen-network.ts";
import type { InstallProgress } from "../core/engine/install.ts";
import { bar, bytes } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { theme } from "./theme.ts";

const STAGES: Record<InstallProgress["stage"], string> = {
  wait: "waiting for another process that installs",
  download: "downloading",
  verify: "checking",
  unpack: "unpacking",
};

/** A listener: on a terminal a bar, elsewhere one line per stage. */
export function installProgress(terminal: Terminal): (progress: InstallProgress) => void {
  let told = "";
  return ({ stage, item, bytes: done, total }) => {
    const what = `${STAGES[stage]} ${item}`;
    if (terminal.isLive) {
      const share = total === undefined ? "" : `${theme.accent(bar(done / total, 20))}  `;
      const amount = done === 0 ? "" : `  ${bytes(done)}${total === undefined ? "" : ` of ${bytes(total)}`}`;
      terminal.live(`${share}${what}${theme.quiet(amount)}`);
    } else if (what !== told) {
      terminal.line(total === undefined ? what : `${what} (${bytes(total)})`);
    }
    told = what;
  };
}

/** Downloads libtensorflow where a run needs it and it is not there. */
export async function ensureLibraryFor(
  { train }: { readonly train: ComputeSettings },
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  if (train.engine === "eager" && train.backend === "cpu") return;
  const { ensureLibrary } = await import("../core/engine/install.ts");
  await ensureLibrary({ gpu: train.device === "gpu", signal, onProgress: installProgress(terminal) });
  terminal.clear();
}
