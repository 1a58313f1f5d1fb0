/** Gives freed memory back to the operating system. */
import koffi from "koffi";

let trim: ((pad: number) => number) | undefined;

/**
 * What initial values, tracing and compilers freed is kept by glibc, in pieces that a step's tensors do not fit into: the
 * peak of the step would come on top of it. Nothing happens where there is no glibc.
 */
export function trimMemory(): void {
  if (process.platform !== "linux") return;
  trim ??= findTrim();
  trim(0);
}

function findTrim(): (pad: number) => number {
  try {
    return koffi.load("libc.so.6").func("int malloc_trim(size_t)") as (pad: number) => number;
  } catch {
    return () => 0;
  }
}
