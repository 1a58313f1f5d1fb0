import { Lexer, LineCounter, parseDocument, Parser } from "yaml";
import type { RelataError } from "../errors.ts";

/** Where a text is wrong, both from 1. */
export interface YamlPlace {
  readonly line: number;
  readonly column: number;
}

/** A config needs six levels. Thousands would exhaust the stack, and nested keys all time. */
const MOST_LEVELS = 64;

/**
 * The value of a YAML text. JSON is read as the YAML that it is: a value that is missing or bare is left to the schema.
 *
 * @param refuse makes the error that is thrown of the first problem
 */
export function readYaml(text: string, refuse: (problem: string, place: YamlPlace) => RelataError): unknown {
  const start = { line: 1, column: 1 };
  if (isDeep(text)) throw refuse(`it is nested more than ${MOST_LEVELS} levels deep`, start);
  const lineCounter = new LineCounter();
  const options = { lineCounter, prettyErrors: false, merge: true, logLevel: "error" } as const;
  const document = parseDocument(text, options);
  const [error] = document.errors;
  if (error) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    throw refuse(error.message, { line, column: col }).because(error);
  }
  try {
    return document.toJS();
  } catch (cause) {
    // An alias without its anchor, or one that grows without end, shows only here.
    throw refuse(cause instanceof Error ? cause.message : String(cause), start).because(cause);
  }
}

/** The first stage of parsing alone keeps a stack of its own. */
function isDeep(text: string): boolean {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    for (const _ of parser.next(lexeme));
    if (parser.stack.length > MOST_LEVELS) return true;
  }
  return false;
}
