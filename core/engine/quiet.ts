/** Keeps the notices that TensorFlow writes while it loads out of a run's output. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import koffi from "koffi";
import { cpuFlags } from "./cpu.ts";

const STDERR = 2;
const notices = [
  /absl::InitializeLog\(\) is called/,
  /port\.cc:\d+\] oneDNN custom operations are on/,
  /cudart_stub\.cc:\d+\] Could not find cuda drivers/,
];

/**
 * Runs `load`, which loads libtensorflow, without the notices that its static initialisers write before they
 * read any log level (no environment variable stops them). Standard error goes to a file meanwhile, and all
 * else that was written there is passed on afterwards. TF_CPP_MIN_LOG_LEVEL=0, set by the user, hides nothing.
 */
export function quietly<T>(load: () => T): T {
  // Without AVX, TensorFlow explains itself on standard error and aborts: that must be seen.
  const mayAbort = !cpuFlags().has("avx") && process.arch === "x64";
  if (process.platform !== "linux" || mayAbort || process.env["TF_CPP_MIN_LOG_LEVEL"] === "0") return load();

  const libc = koffi.load("libc.so.6");
  const dup = libc.func("int dup(int)") as (fd: number) => number;
  const dup2 = libc.func("int dup2(int, int)") as (from: number, to: number) => number;
  const folder = mkdtempSync(path.join(os.tmpdir(), "relata-"));
  const file = path.join(folder, "stderr");
  const capture = openSync(file, "w");
  const stderr = dup(STDERR);
  dup2(capture, STDERR);
  try {
    return load();
  } finally {
    dup2(stderr, STDERR);
    closeSync(capture);
    closeSync(stderr);
    const rest = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "" && !notices.some((notice) => notice.test(line)));
    rmSync(folder, { recursive: true });
    if (rest.length > 0) process.stderr.write(`${rest.join("\n")}\n`);
  }
}
