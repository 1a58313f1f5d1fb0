import { Command } from "commander";
import { interruptible, type CliContext } from "../context.ts";
import { installProgress } from "../library.ts";
import { theme } from "../theme.ts";

export function setupCommand(context: CliContext): Command {
  return new Command("setup")
    .description("install libtensorflow into the cache; a run that needs it does so by itself")
    .option("--wheel <file>", "unpack this TensorFlow wheel instead of downloading one")
    .option("--gpu", "the build for NVIDIA GPUs, with CUDA's libraries (Linux x64)")
    .action(async ({ wheel, gpu }: { wheel?: string; gpu?: boolean }) => {
      const { installLibrary } = await import("../../core/engine/install.ts");
      const { terminal } = context;
      const library = await interruptible(context, "stopping; press again to stop at once", ({ signal }) =>
        installLibrary({ wheel, gpu, signal, onProgress: installProgress(terminal) }),
      );
      if (!library) return;
      terminal.line(`${theme.good("✔")} libtensorflow ${library.version ?? ""} in ${library.directory}`);
      if (library.verified === false) {
        terminal.line(
          theme.warning("  its checksum is not among those that relata knows: make sure of where it is from"),
        );
      }
    });
}
