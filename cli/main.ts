/** The process of the CLI. */
import { runCli } from "./program.ts";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough, such as `relata runs | head`, is no failure.
  if (error.code === "EPIPE") process.exit(0);
  // The terminal was closed: what is under way is still saved.
  if (error.code !== "EIO") throw error;
});

const exitCode = await runCli(process.argv.slice(2));
await Promise.all(
  [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((done) => stream.write("", () => done())),
  ),
);
// At a natural end libtensorflow's own threads may crash the process.
process.exit(exitCode);
