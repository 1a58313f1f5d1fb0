import assert from "node:assert/strict";
import { timeByHook, timeByOp } from "../../../core/engine/timings.ts";

const node = (name: string, op: string, microseconds: number) => ({
  name,
  label: `${name} = ${op}(x)`,
  microseconds,
});

const timings = [
  node("train/core/MatMul_1", "MatMul", 50),
  node("train/dino/loss/MatMul_2", "MatMul", 5),
  node("train/dino/loss/Sub_3", "Sub", 2),
  node("train/ibot/loss/Sub_4", "Sub", 20),
  node("ConstantFolding/train/ibot/embed/Mul_5", "Mul", 3),
  node("variables/3/student/dino.center/read", "ReadVariableOp", 1),
  { name: "train/core/odd_6", label: "a label of another form", microseconds: 1 },
];

describe("times of a profiled step", () => {
  it("go by plugin and hook, and to the core what is no plugin's", () => {
    assert.deepEqual(timeByHook(timings, ["dino", "ibot"]), [
      { name: "core", microseconds: 52, nodes: 3 },
      { name: "ibot/loss", microseconds: 20, nodes: 1 },
      { name: "dino/loss", microseconds: 7, nodes: 2 },
      { name: "ibot/embed", microseconds: 3, nodes: 1 },
    ]);
  });

  it("go by op", () => {
    const names = timeByOp(timings).map(({ name, microseconds }) => [name, microseconds]);
    assert.deepEqual(names, [
      ["MatMul", 55],
      ["Sub", 22],
      ["Mul", 3],
      ["ReadVariableOp", 1],
      ["a label of another form", 1],
    ]);
  });
});
