import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { watchInterrupts } from "../../cli/interrupts.ts";

describe("interrupts", () => {
  function watch() {
    const source = new EventEmitter();
    const told: string[] = [];
    const clock = { now: 1000 };
    const interrupts = watchInterrupts({
      onFirst: (name) => told.push(name),
      onSecond: (code) => told.push(`exit ${code}`),
      source: source as unknown as NodeJS.Process,
      now: () => clock.now,
    });
    return { source, told, clock, interrupts };
  }

  it("aborts at the first and ends at the second", () => {
    const { source, told, clock, interrupts } = watch();
    assert.equal(interrupts.exitCode, undefined);
    source.emit("SIGINT", "SIGINT");
    assert.ok(interrupts.signal.aborted);
    assert.equal(interrupts.exitCode, 130);
    clock.now += 1000;
    source.emit("SIGTERM", "SIGTERM");
    assert.deepEqual(told, ["SIGINT", "exit 130"]);
  });

  it("takes the copies of one key press, which npm and the launcher pass on, for one", () => {
    const { source, told, clock } = watch();
    source.emit("SIGINT", "SIGINT");
    clock.now += 100;
    source.emit("SIGINT", "SIGINT");
    source.emit("SIGINT", "SIGINT");
    assert.deepEqual(told, ["SIGINT"]);
  });

  it("gives each signal its exit code", () => {
    for (const [name, code] of [
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const) {
      const { source, interrupts } = watch();
      source.emit(name, name);
      assert.equal(interrupts.exitCode, code);
    }
  });

  it("leaves signals alone after its release", () => {
    const { source, interrupts } = watch();
    interrupts.release();
    assert.equal(
      source.listenerCount("SIGINT") + source.listenerCount("SIGTERM") + source.listenerCount("SIGHUP"),
      0,
    );
  });
});
