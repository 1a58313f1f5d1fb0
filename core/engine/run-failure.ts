/** What TensorFlow says of a step that it began and could not end, in the name of the plugin whose op it was. */
import { errors } from "../errors.ts";
import { pluginOf } from "../scopes.ts";
import { TensorFlowError } from "./c-api.ts";

/** TF_Code: memory, or another limit, is used up. */
const RESOURCE_EXHAUSTED = 8;
/** Nodes are named by program, scope, op and a number. */
const NODE = /\{\{node [^/}]+\/(?<scope>[^}]+)\/(?<op>[^/}]+?)(?:_\d+)?\}\}/;

/** OP_FAILED where the message names a node; other errors as they are. */
export function runFailure(error: unknown): unknown {
  if (!(error instanceof TensorFlowError)) return error;
  const { scope, op } = NODE.exec(error.message)?.groups ?? {};
  if (scope === undefined || op === undefined) return error;
  const problem = error.message.split("\n")[0]!.replace(/\s*\[?\[?\{\{node [^]*$/, "");
  const fix =
    error.code === RESOURCE_EXHAUSTED
      ? "the step needs more memory than there is: train with a smaller train.microBatch"
      : `look at the values that ${op}, or the op whose gradient it is, is given: indices lie inside of their axis`;
  return errors.opFailed(pluginOf(scope), scope, op, problem, fix).because(error);
}
