/** What a schema finds wrong, as coded errors: one for each problem, or one that lists them all. */
import { inspect } from "node:util";
import type { z } from "zod";
import { errors, type RelataError } from "../errors.ts";
import { describeOptions, keysAt, type Path } from "./describe.ts";
import { didYouMean } from "./did-you-mean.ts";

type Issue = z.core.$ZodIssue;

/** "train.lr", "plugins[2].use"; `prefix` comes first. */
export function formatPath(path: Path, prefix = ""): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, prefix);
}

/** The value as it would be written, cut where it is long. */
export function formatValue(value: unknown): string {
  const text = typeof value === "string" ? `"${value}"` : inspect(value, { depth: 1, breakLength: Infinity });
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

export interface Outcome<T> {
  /** Undefined where there are problems. */
  readonly value: T | undefined;
  readonly problems: readonly RelataError[];
}

/**
 * Checks a value, with one coded error for each thing that is wrong.
 *
 * @param prefix where the value is in the config, "" for the whole of it
 */
export function check<S extends z.ZodType>(schema: S, value: unknown, prefix: string): Outcome<z.output<S>> {
  const result = schema.safeParse(value, { error: explain });
  if (result.success) return { value: result.data, problems: [] };
  const issues = result.error.issues.flatMap(mostSpecific);
  return { value: undefined, problems: issues.flatMap((issue) => problemsOf(issue, schema, prefix)) };
}

function problemsOf(issue: Issue, schema: z.ZodType, prefix: string): RelataError[] {
  const path = formatPath(issue.path, prefix);
  if (issue.code !== "unrecognized_keys") return [errors.configInvalid(path, issue.message)];
  const known = keysAt(schema, issue.path);
  return issue.keys.map((key) =>
    errors.configUnknownKey(path, key, known, nearestKey(key, known, schema, issue.path)),
  );
}

/** Throws the problem, or an error that lists several. Returns where there is none. */
export function throwProblems(problems: readonly RelataError[]): void {
  const [first, second] = problems;
  if (first && !second) throw first;
  if (first) throw errors.configProblems(problems).because(new AggregateError(problems));
}

/** Also finds a key that is right but in the wrong place: "lr" belongs in train. */
function nearestKey(
  key: string,
  known: readonly string[],
  schema: z.ZodType,
  path: Path,
): string | undefined {
  const near = didYouMean(key, known);
  if (near !== undefined) return near;
  const elsewhere = describeOptions(schema).filter((option) => option.path.split(".").at(-1) === key);
  return elsewhere.length === 1 && path.length === 0 ? elsewhere[0]!.path : undefined;
}

/** Of the alternatives of a union, the problems of the one that the value is most like. */
function mostSpecific(issue: Issue): Issue[] {
  if (issue.code !== "invalid_union") return [issue];
  const branches = issue.errors.filter(
    (branch) => !branch.some(({ path, code }) => path.length === 0 && isKind(code)),
  );
  const [branch] = branches;
  if (branches.length !== 1 || !branch) return [issue];
  return branch.flatMap((inner) => mostSpecific({ ...inner, path: [...issue.path, ...inner.path] } as Issue));
}

/** A problem with what a value is, not with what is in it. */
const isKind = (code: string) => code === "invalid_type" || code === "invalid_value" || code === "custom";

/** The message of a problem whose schema has none of its own. */
function explain(issue: z.core.$ZodRawIssue): string | undefined {
  const { input } = issue;
  const got = `got ${formatValue(input)}`;
  switch (issue.code) {
    case "invalid_type":
      return input === undefined
        ? `missing: expected ${kindName(issue.expected)}`
        : `expected ${kindName(issue.expected)}, ${got}`;
    case "invalid_value": {
      const values = issue.values.map(String);
      const near = typeof input === "string" ? didYouMean(input, values) : undefined;
      const choice = values.length === 1 ? values[0]! : `one of ${values.join(", ")}`;
      return `expected ${choice}, ${got}${near ? ` (did you mean "${near}"?)` : ""}`;
    }
    case "too_small":
    case "too_big":
      return `expected ${bound(issue)}, got ${Array.isArray(input) ? input.length : formatValue(input)}`;
    case "invalid_union":
      return `expected ${alternatives(issue.errors)}, ${got}`;
    default:
      return undefined;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

const kindName = (expected: string) => KINDS[expected] ?? expected;

type Bound = z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall> | z.core.$ZodRawIssue<z.core.$ZodIssueTooBig>;

function bound(issue: Bound): string {
  const small = issue.code === "too_small";
  const limit = small ? issue.minimum : issue.maximum;
  const unit = issue.origin === "array" ? " entries" : issue.origin === "string" ? " letters" : "";
  if (issue.inclusive || unit !== "") return `${small ? "at least" : "at most"} ${limit}${unit}`;
  return `a number ${small ? "above" : "below"} ${limit}`;
}

/** What a union accepts, from the first problem of each alternative. */
function alternatives(branches: readonly (readonly Issue[])[]): string {
  const kinds = branches.flatMap(([first]) => {
    if (first?.code === "invalid_type") return [kindName(first.expected)];
    if (first?.code === "invalid_value") return first.values.map(String);
    return [];
  });
  return kinds.length > 0 ? [...new Set(kinds)].join(" or ") : "something else";
}
