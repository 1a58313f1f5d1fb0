/** What a run tells the person who started it. The CLI prints it; tests collect it. */
export interface Logger {
  info(message: string): void;
  /** Something is wrong but the run goes on. `key` keeps a repeated warning from being printed twice. */
  warn(message: string, key?: string): void;
}

export const silentLogger: Logger = { info: () => {}, warn: () => {} };
