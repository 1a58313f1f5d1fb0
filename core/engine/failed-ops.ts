/**
 * Which op it was that failed, and what it was given. tfjs looks at operands in the op, in its kernel, or lets
 * TensorFlow do it, and each words its complaint in its own way; while `namingOps` runs, they become one error.
 */
import { described } from "../described.ts";
import { errors, RelataError } from "../errors.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import { operandAdvice } from "./op-advice.ts";
import { differentiated } from "./tape-scopes.ts";
import { opOf, watchingTfjs } from "./tfjs-engine.ts";

interface FailedOp {
  /** The one that was called, as it is called. */
  readonly op: string;
  /** The op of the plugin's, where it is its gradient that failed. */
  readonly gradientOf: string | undefined;
  readonly scope: string;
  /** What the kernel threw, and the shapes that it was given; unknown where the op failed before it. */
  readonly kernel?: { readonly error: unknown; readonly operands: readonly string[] };
}

let failed: FailedOp | undefined;

/** An op's error is made deep in tfjs; its stack has to reach up to the plugin's line. */
const STACK_FRAMES = 50;

/** Throws OP_REFUSED for what an op of `run` refuses, if nobody has told it before. */
export function namingOps<T>(run: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = STACK_FRAMES;
  try {
    return watchingTfjs(watchOps, run);
  } catch (error) {
    throw refusedOp(error) ?? error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

const watchOps: Parameters<typeof watchingTfjs>[0] = ({ state, startScope, endScope, runKernel }) => ({
  startScope(name) {
    failed = undefined;
    startScope(name);
  },
  endScope(result) {
    const op = opOf(state.activeScope.name);
    endScope(result);
    // Ops end with null where they fail, from the innermost to the one that was called.
    if (op !== undefined && result === null) failed = failure(op, failed?.kernel);
  },
  runKernel(name, inputs, ...rest) {
    try {
      return runKernel(name, inputs, ...rest);
    } catch (error) {
      const operands = Object.values(inputs).filter((x) => x !== undefined && x !== null);
      // core/math's own kernels are called as the functions that use them.
      const op = name.replace(/^Relata(.)/, (_, first: string) => first.toLowerCase());
      failed ??= failure(op, { error, operands: operands.map(described) });
      throw error;
    }
  },
});

const failure = (op: string, kernel: FailedOp["kernel"]): FailedOp => ({
  op,
  gradientOf: differentiated(),
  scope: currentScope(),
  kernel,
});

/** OP_REFUSED, if the error that is being told came out of an op. */
export function refusedOp(error: unknown): RelataError | undefined {
  const own = failed;
  failed = undefined;
  if (!own || !(error instanceof Error) || error instanceof RelataError) return undefined;
  const { op, gradientOf, scope, kernel } = own;
  // Not what a plugin throws after it caught an op's error.
  if (error !== kernel?.error && !/__op\b/.test(error.stack ?? "")) return undefined;
  const problem = plain(error.message);
  const advice = operandAdvice(gradientOf ?? op, problem);
  const called = gradientOf === undefined ? op : `${op}, in the gradient of ${gradientOf},`;
  return errors
    .opRefused(pluginOf(scope), scope, called, kernel?.operands ?? [], problem, advice)
    .because(error);
}

/** Without what the error says itself: tfjs's name of the op, and TensorFlow's node with its inputs. */
function plain(message: string): string {
  return message.replace(/^Error in \w+: */, "").replace(/ for '\{\{node [^]*$/, "");
}
