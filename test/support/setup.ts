/** Before the first test: libtensorflow, downloaded once per machine, with progress that can be seen. */
import { installProgress } from "../../cli/library.ts";
import { Terminal } from "../../cli/terminal.ts";
import { ensureLibrary } from "../../core/engine/install.ts";

export const mochaHooks = {
  async beforeAll(this: Mocha.Context): Promise<void> {
    this.timeout(0);
    const terminal = new Terminal();
    await ensureLibrary({ onProgress: installProgress(terminal) });
    terminal.clear();
  },
};
