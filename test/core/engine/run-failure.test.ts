import assert from "node:assert/strict";
import { TensorFlowError } from "../../../core/engine/c-api.ts";
import { runFailure } from "../../../core/engine/run-failure.ts";
import { RelataError } from "../../../core/errors.ts";

/** TensorFlow's words for a shortage, shortened. */
const shortage = (node: string) =>
  new TensorFlowError(
    8,
    `OOM when allocating tensor with shape[4096,65536]\n\t [[{{node ${node}}}]]\nHint: none`,
  );

describe("what TensorFlow says of a step that it cannot end", () => {
  it("is told with the plugin, hook and op of the node, and what would help", () => {
    const told = runFailure(shortage("accumulate-2/dino/loss/MatMul_1203"));
    assert.ok(told instanceof RelataError, "coded");
    assert.equal(told.code, "OP_FAILED");
    assert.match(told.message, /^MatMul of plugin "dino" in dino\/loss .*: OOM when .*\[4096,65536\]$/);
    assert.match(told.fix, /smaller train\.microBatch/);
  });

  it("is told in the core's name for the core's nodes", () => {
    const told = runFailure(shortage("train/core/IsFinite"));
    assert.match(String(told), /IsFinite of plugin "core" in core failed/);
  });

  it("stays as it is where it names no node, and so do others' errors", () => {
    const unnamed = new TensorFlowError(1, "cancelled");
    const other = new Error("{{node train/dino/loss/MatMul_1}}");
    assert.equal(runFailure(unnamed), unnamed);
    assert.equal(runFailure(other), other);
  });
});
