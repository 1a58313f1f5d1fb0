/** What the CPU can do, as the operating system tells it. */
import { readFileSync } from "node:fs";

/** Instruction-set flags ("avx2", "avx512_bf16", "amx_bf16"; "bf16" on arm64); empty where Linux does not tell. */
export function cpuFlags(): ReadonlySet<string> {
  try {
    const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"));
    return new Set(line?.[1]!.trim().split(/\s+/));
  } catch {
    return new Set();
  }
}
