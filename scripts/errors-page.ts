/** Writes docs/errors.md, the list of all errors in core/errors.ts: `npm run docs:errors`. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { finiteRules, operandRules } from "../core/engine/op-advice.ts";
import { errors, type RelataError } from "../core/errors.ts";

export interface DocumentedError {
  /** Its name in `errors`. */
  readonly key: string;
  readonly code: string;
  readonly section: string;
  /** What it says, with the names of what is filled in. */
  readonly message: string;
  readonly fix: string;
}

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const source = ts.createSourceFile(
  "errors.ts",
  readFileSync(at("core/errors.ts"), "utf8"),
  ts.ScriptTarget.Latest,
  true,
);

/** All errors, in the order of the source, whose comments name the sections. */
export function documentedErrors(): DocumentedError[] {
  let section = "";
  return declarations().map((property) => {
    const comments = ts.getLeadingCommentRanges(source.text, property.pos) ?? [];
    for (const { pos, end } of comments) {
      section = /^\/\/ --- (.+?) -+$/.exec(source.text.slice(pos, end))?.[1] ?? section;
    }
    const key = property.name.getText();
    const describe = (property.initializer as ts.CallExpression).arguments[1] as ts.ArrowFunction;
    const make = errors[key as keyof typeof errors] as (...args: unknown[]) => RelataError;
    const { code, message, fix } = make(...describe.parameters.map(argument));
    return { key, code, section, message: filledIn(message), fix: filledIn(fix) };
  });
}

/** The properties of `export const errors = { … } as const`. */
function declarations(): ts.PropertyAssignment[] {
  const variables = source.statements.filter(ts.isVariableStatement);
  const all = variables
    .flatMap(({ declarationList }) => declarationList.declarations)
    .find(({ name }) => name.getText() === "errors")!;
  const object = (all.initializer as ts.AsExpression).expression as ts.ObjectLiteralExpression;
  return object.properties.filter(ts.isPropertyAssignment);
}

// --- what stands for the arguments -------------------------------------------------------------------------

/** Undefined for a parameter that has a default. */
function argument({ name, type, initializer }: ts.ParameterDeclaration): unknown {
  return initializer ? undefined : standIn(name.getText(), type);
}

/** «name», in the form that a describing function expects of a value of that type. */
function standIn(name: string, type: ts.TypeNode | undefined): unknown {
  const named = `«${name}»`;
  if (!type) return named;
  if (ts.isTypeOperatorNode(type)) return standIn(name, type.type);
  if (ts.isArrayTypeNode(type)) return [standIn(name, type.elementType), standIn("…", type.elementType)];
  if (ts.isUnionTypeNode(type)) return standIn(name, type.types.find(ts.isTypeLiteralNode));
  if (ts.isTypeLiteralNode(type)) return membersOf(type);
  if (type.kind === ts.SyntaxKind.NumberKeyword) return numberNamed(named);
  if (type.kind === ts.SyntaxKind.BooleanKeyword) return true;
  if (type.getText() === "RelataError") return { message: named };
  const declared = source.statements.find(
    (statement) => ts.isInterfaceDeclaration(statement) && statement.name.text === type.getText(),
  );
  return declared ? membersOf(declared as ts.InterfaceDeclaration) : named;
}

function membersOf({ members }: ts.TypeLiteralNode | ts.InterfaceDeclaration): Record<string, unknown> {
  const properties = members.filter(ts.isPropertySignature);
  return Object.fromEntries(
    properties.map(({ name, type }) => [name.getText(), standIn(name.getText(), type)]),
  );
}

/** Its name where it is printed; nothing can be computed with it. */
const numberNamed = (named: string) => ({
  [Symbol.toPrimitive]: (hint: string) => (hint === "number" ? NaN : named),
});

const filledIn = (text: string) => text.replaceAll("«…»", "…").replaceAll("NaN", "«number»");

// --- the page ----------------------------------------------------------------------------------------------

const INTRODUCTION = `# Errors

What relata refuses, it refuses with a code that stays, a message that names the plugin and hook, the file or the
config path at fault, and what to do. \`--verbose\` also prints where in the code it happened. This is all of them;
«words» are filled in. The page is made from \`core/errors.ts\` by \`npm run docs:errors\`.
`;

export function errorsPage(): string {
  const all = documentedErrors();
  const sections = [...new Set(all.map(({ section }) => section))];
  const pages = sections.map((section) => {
    const own = all.filter((error) => error.section === section);
    return `## ${section.charAt(0).toUpperCase()}${section.slice(1)}\n\n${own.map(entry).join("\n")}`;
  });
  return [INTRODUCTION, ...pages].join("\n");
}

function entry({ code, message, fix }: DocumentedError): string {
  const quoted = message
    .split("\n")
    .map((line) => `> ${escaped(line.trim())}`)
    .join("\n");
  const advice = /^«\w+»$/.test(fix) ? "depends on the case; the error says which" : escaped(fix);
  return `### ${code}\n\n${quoted}\n\nFix: ${advice}\n${ofOps(code)}`;
}

/** Of the fixes that depend on an op. */
const byOp: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  NOT_FINITE: finiteRules,
  OP_REFUSED: operandRules,
};

function ofOps(code: string): string {
  const rules = Object.entries(byOp[code] ?? {}).map(([op, rule]) => `- \`${op}\`: ${escaped(rule)}\n`);
  return rules.length > 0 ? `\n${rules.join("")}` : "";
}

/** Of what Markdown would take for its own, messages have only these. */
const escaped = (text: string) => text.replaceAll("<", "&lt;").replaceAll("*", "\\*");

export const PAGE = at("docs/errors.md");

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, errorsPage());
