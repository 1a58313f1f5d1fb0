/** The NVIDIA driver, as the operating system and nvidia-smi tell it. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const PROBE_MS = 10_000;
const DRIVER_FILE = "/proc/driver/nvidia/version";
/** Linux; containers; Windows' Linux subsystem. */
const signs = [DRIVER_FILE, "/dev/nvidiactl", "/usr/lib/wsl/lib/libcuda.so.1"];

/** Whether this machine has a loaded NVIDIA driver. Quick: what `device: auto` asks. */
export function hasNvidiaDriver(): boolean {
  return signs.some((file) => existsSync(file));
}

export interface NvidiaDriver {
  /** "550.54.15" */
  readonly version: string;
  /** Names of the GPUs; empty where nvidia-smi is not there to tell. */
  readonly gpus: readonly string[];
}

/** Asks nvidia-smi, then the driver's own file; undefined without a driver. */
export async function nvidiaDriver(): Promise<NvidiaDriver | undefined> {
  const query = ["--query-gpu=driver_version,name", "--format=csv,noheader"];
  const answer = await new Promise<string>((resolve) => {
    execFile("nvidia-smi", query, { timeout: PROBE_MS }, (error, stdout) =>
      resolve(error ? "" : stdout.trim()),
    );
  });
  const lines =
    answer === "" ? [] : answer.split("\n").map((line) => line.split(",").map((cell) => cell.trim()));
  if (lines.length > 0) return { version: lines[0]![0]!, gpus: lines.map((cells) => cells[1] ?? "unnamed") };
  if (!hasNvidiaDriver()) return undefined;
  const told = existsSync(DRIVER_FILE) ? readFileSync(DRIVER_FILE, "utf8") : "";
  const version = /\s(\d+\.\d+(?:\.\d+)?)\s/.exec(told);
  return { version: version?.[1] ?? "of unknown version", gpus: [] };
}
