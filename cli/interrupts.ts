/** Ctrl-C and its relatives: the first asks the work to stop in good order, a second one stops at once. */
import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
export type StopSignal = (typeof SIGNALS)[number];

/** npm and the launcher pass a signal on that the terminal sends to all: two so close are one. */
const SAME_MS = 400;

export interface Interrupts {
  readonly signal: AbortSignal;
  /** 128 + the signal's number, once there was one. */
  readonly exitCode: number | undefined;
  /** Back to Node's own behaviour. */
  release(): void;
}

export interface InterruptOptions {
  readonly onFirst: (name: StopSignal) => void;
  readonly onSecond: (exitCode: number) => void;
  /** Where the signals come from, and the time in milliseconds. */
  readonly source?: Pick<NodeJS.Process, "on" | "off">;
  readonly now?: () => number;
}

export function watchInterrupts(options: InterruptOptions): Interrupts {
  const { onFirst, onSecond, source = process, now = () => performance.now() } = options;
  const controller = new AbortController();
  let exitCode: number | undefined;
  let firstAt = 0;
  const handle = (name: NodeJS.Signals): void => {
    if (exitCode !== undefined) {
      if (now() - firstAt > SAME_MS) onSecond(exitCode);
      return;
    }
    exitCode = 128 + constants.signals[name];
    firstAt = now();
    onFirst(name as StopSignal);
    controller.abort();
  };
  for (const name of SIGNALS) source.on(name, handle);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    release: () => SIGNALS.forEach((name) => source.off(name, handle)),
  };
}
