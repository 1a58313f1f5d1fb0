/**
 * Every error that relata raises on purpose, in one place.
 *
 * Each has a stable code, a message that names the config path, plugin or file at fault, and the fix.
 * Throw `errors.someName(…)`; attach the original with `.because(cause)`.
 */
export class RelataError extends Error {
  override readonly name = "RelataError";
  readonly code: string;
  /** What to do about it, one sentence. */
  readonly fix: string;

  constructor(code: string, message: string, fix: string) {
    super(message);
    this.code = code;
    this.fix = fix;
  }

  /** Keeps the error that led to this one. */
  because(cause: unknown): this {
    this.cause = cause;
    return this;
  }

  override toString(): string {
    return `${this.code}: ${this.message}\n  fix: ${this.fix}`;
  }
}

type Describe<A extends unknown[]> = (...args: A) => { message: string; fix: string };

function coded<A extends unknown[]>(code: string, describe: Describe<A>): (...args: A) => RelataError {
  return (...args) => {
    const { message, fix } = describe(...args);
    return new RelataError(code, message, fix);
  };
}

const didYouMean = (nearest: string | undefined) => (nearest ? ` Did you mean "${nearest}"?` : "");

export const errors = {
  // --- configuration -------------------------------------------------------------------------------------
  configUnknownKey: coded("CONFIG_UNKNOWN_KEY", (path: string, key: string, known: readonly string[], nearest?: string) => ({
    message: `unknown key "${key}" in ${path}.${didYouMean(nearest)}`,
    fix: `remove it or use one of: ${known.join(", ")}`,
  })),
  configInvalid: coded("CONFIG_INVALID", (path: string, problem: string) => ({
    message: `${path}: ${problem}`,
    fix: `correct ${path} in the config`,
  })),
} as const;
