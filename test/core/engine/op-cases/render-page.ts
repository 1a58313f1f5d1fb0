/** The lists of docs/ops.md, from the table. */
import type { OpCase } from "./op-case.ts";
import { limits, reasons, refused } from "./refused.ts";

const code = (op: string) => `\`${op}\``;
const sorted = (ops: Iterable<string>) => [...new Set(ops)].sort((a, b) => a.localeCompare(b, "en"));
const list = (ops: Iterable<string>) => sorted(ops).map(code).join(", ");

function limitsOf(ops: readonly string[]): string[] {
  const own = limits.filter(({ op }) => ops.includes(op));
  if (own.length === 0) return [];
  return [own.map(({ op, text }) => `- ${code(op)}: ${text}`).join("\n")];
}

/** An op differentiates when any of its cases does. */
const differentiates = (cases: readonly OpCase[]) =>
  new Set(cases.filter(({ gradient }) => gradient === "yes").map(({ op }) => op));

function withGradient(cases: readonly OpCase[], groups: readonly string[]): string[] {
  const yes = differentiates(cases);
  return groups.flatMap((group) => {
    const ops = sorted(cases.filter((c) => c.group === group && yes.has(c.op)).map(({ op }) => op));
    return ops.length > 0 ? [`### ${group}`, list(ops), ...limitsOf(ops)] : [];
  });
}

function withoutGradient(cases: readonly OpCase[], groups: readonly string[]): string[] {
  const yes = differentiates(cases);
  return groups.flatMap((group) => {
    const own = cases.filter((c) => c.group === group && !yes.has(c.op));
    const names = (gradient: OpCase["gradient"]) =>
      own.filter((c) => c.gradient === gradient).map(({ op }) => op);
    const [none, zero] = [names("none"), names("zero")];
    if (own.length === 0) return [];
    return [
      `### ${group}`,
      ...(none.length > 0 ? [list(none)] : []),
      ...(zero.length > 0 ? [`The gradient is zero: ${list(zero)}`] : []),
      ...limitsOf(own.map(({ op }) => op)),
    ];
  });
}

function notCaptured(): string[] {
  return Object.entries(reasons).flatMap(([reason, { title, code: errorCode }]) => {
    const own = refused.filter((entry) => entry.reason === reason);
    const answers = [...new Set(own.map(({ instead }) => instead))];
    const lines = answers.map((instead) => {
      const ops = own.filter((entry) => entry.instead === instead).map(({ op }) => op);
      return `- ${list(ops)}: ${instead}`;
    });
    return [`### ${title} (${code(errorCode)})`, lines.join("\n")];
  });
}

export function renderLists(cases: readonly OpCase[]): string {
  const groups = [...new Set(cases.map(({ group }) => group))];
  const parts = [
    "## Captures and differentiates",
    ...withGradient(cases, groups),
    "## Captures, no gradient",
    "A gradient through these is an error (`NO_GRADIENT`), where it is not zero.",
    ...withoutGradient(cases, groups),
    "## Does not capture, use instead …",
    ...notCaptured(),
  ];
  return `${parts.join("\n\n")}\n`;
}
