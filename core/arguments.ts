/**
 * What a plugin hands over, looked at when it is handed over: nobody checks the types of a plugin when it is loaded, and
 * a key that is never read goes unnoticed.
 */
import { didYouMean } from "./config/did-you-mean.ts";
import { described } from "./described.ts";
import { errors } from "./errors.ts";
import { currentScope, pluginOf } from "./scopes.ts";

interface Problem {
  /** What is wrong, such as `the unknown key "axes"`. */
  readonly told: string;
  readonly fix: string;
}

/** What is wrong with the value at a path, "" for all of it; undefined where nothing is. */
export type Want = (value: unknown, path: string) => Problem | undefined;

/** A want for each key of T: a key that is added to the type has to be added here. */
export type KeysOf<T> = { readonly [K in keyof T]-?: Want };

/** Throws ARGUMENT_INVALID in the name of the plugin that runs; `call` says what it gave the value to. */
export function requireArgument(call: string, want: Want, value: unknown): void {
  const problem = want(value, "");
  if (!problem) return;
  const scope = currentScope();
  throw errors.argumentInvalid(pluginOf(scope), scope, call, problem.told, problem.fix);
}

/** It is looked at elsewhere. */
export const anything: Want = () => undefined;

export const optional =
  (want: Want): Want =>
  (value, path) =>
    value === undefined ? undefined : want(value, path);

/** `wanted` in words, such as "a finite number". */
export const valueThat =
  (wanted: string, accepts: (value: unknown) => boolean): Want =>
  (value, path) => {
    if (accepts(value)) return undefined;
    const at = path === "" ? "" : ` for ${path}`;
    return { told: `${inWords(value)}${at}, where ${wanted} belongs`, fix: `give ${wanted}${at}` };
  };

export const flag = valueThat("true or false", (value) => typeof value === "boolean");
export const text = valueThat("a name", (value) => typeof value === "string");
export const run = valueThat("a function", (value) => typeof value === "function");
export const finite = valueThat("a finite number", Number.isFinite);
export const wholeFrom = (least: number): Want =>
  valueThat(`a whole number from ${least}`, (value) => Number.isInteger(value) && Number(value) >= least);
export const listOf = (wanted: string, accepts: (item: unknown, index: number) => boolean): Want =>
  valueThat(wanted, (value) => Array.isArray(value) && value.every(accepts));

export function oneOf(known: readonly string[]): Want {
  const any = valueThat(known.map((one) => `"${one}"`).join(" or "), (value) =>
    known.includes(value as string),
  );
  return (value, path) => {
    const problem = any(value, path);
    const nearest = typeof value === "string" ? didYouMean(value, known) : undefined;
    return problem && { ...problem, told: problem.told + suggested(nearest) };
  };
}

/** An object with these keys and no others. */
export function record<T>(keys: KeysOf<T>): Want {
  const known = Object.keys(keys);
  const object = valueThat(
    `an object of ${known.join(", ")}`,
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  );
  return (value, path) => {
    const problem = object(value, path);
    if (problem) return problem;
    const at = (key: string) => (path === "" ? key : `${path}.${key}`);
    const unknown = Object.keys(value as object).find((key) => !known.includes(key));
    if (unknown !== undefined)
      return {
        told: `the unknown key "${at(unknown)}"${suggested(didYouMean(unknown, known))}`,
        fix: `remove it or use one of: ${known.join(", ")}`,
      };
    for (const [key, want] of Object.entries<Want>(keys)) {
      const inside = want((value as Record<string, unknown>)[key], at(key));
      if (inside) return inside;
    }
    return undefined;
  };
}

const inWords = (value: unknown) => (typeof value === "string" ? `"${value}"` : described(value));

const suggested = (nearest: string | undefined) =>
  nearest === undefined ? "" : `. Did you mean "${nearest}"?`;
