/** Saving that fails at any of its calls, and files that have changed since. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { promises, readFileSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { FolderCheckpoints, readCheckpoint, type Checkpoint } from "../../../core/trainer/checkpoint.ts";
import { diskFull, watchFiles, type FileCall } from "../../support/file-faults.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { coded } from "./tiny.ts";

const checkpoint = (step: number): Checkpoint => ({
  step,
  epoch: step / 4,
  settings: { config: { seed: 3 }, plugins: { dino: {} } },
  dataset: "0123456789ab",
  notes: {},
  tensors: [
    { name: "student/a", shape: [2, 3], values: new Float32Array(6).fill(step) },
    { name: "adam.step/main", shape: [], values: Float32Array.of(step) },
  ],
});

const refuse = (error: Error) => assert.fail(String(error));

describe("a checkpoint whose saving fails", () => {
  const base = temporaryFolder();
  const store = () => new FolderCheckpoints(join(base(), "checkpoints"), { keepLast: 1 });

  /** Saves 4, then 8 with a fault; gives the calls of the second. */
  async function saved(fault: (call: FileCall, index: number) => void) {
    await rm(join(base(), "checkpoints"), { recursive: true, force: true });
    await store().save(checkpoint(4));
    const calls: FileCall[] = [];
    const end = watchFiles(base(), (call) => {
      calls.push(call);
      fault(call, calls.length - 1);
    });
    try {
      await store().save(checkpoint(8));
      return { calls, failed: undefined };
    } catch (error) {
      return { calls, failed: error };
    } finally {
      end();
    }
  }

  it("at any call leaves the one before or the new one, whole, and nothing that was told as saved is gone", async () => {
    const { calls } = await saved(() => undefined);
    const kinds = calls.map(({ operation }) => operation);
    for (const kind of ["mkdir", "open", "write", "sync", "rename", "rm"] as const)
      assert.ok(kinds.includes(kind), `${kind} is not among ${kinds.join(", ")}`);
    const ends: string[] = [];
    for (let at = 0; at < calls.length; at++) {
      const { failed } = await saved((_, index) => {
        if (index === at) throw diskFull();
      });
      const latest = await store().latest(refuse);
      const where = `${calls[at]!.operation} ${calls[at]!.path}`;
      if (failed) assert.ok(coded("CHECKPOINT_WRITE", "ENOSPC")(failed), where);
      assert.deepEqual(latest, checkpoint(failed ? 4 : 8), where);
      ends.push(failed ? "refused" : "saved");
      // What the failure left is gone after the next.
      await store().save(checkpoint(12));
      const files = await readdir(join(base(), "checkpoints"));
      assert.deepEqual(files, ["step-00000012.json", "step-00000012.safetensors"], where);
    }
    // Removing older ones comes last, and is no failure of the saving.
    assert.deepEqual(new Set(ends), new Set(["refused", "saved"]));
    assert.ok(ends.lastIndexOf("refused") < ends.indexOf("saved"));
  });

  it("at every call from one on, until there is room again, loses nothing either", async () => {
    const { calls } = await saved(() => undefined);
    for (let from = 0; from < calls.length; from++) {
      const { failed } = await saved((_, index) => {
        if (index >= from) throw diskFull();
      });
      assert.deepEqual(await store().latest(refuse), checkpoint(failed ? 4 : 8));
    }
  });
});

describe("a checkpoint that cannot be read", () => {
  const base = temporaryFolder();

  it("is not passed over: it may be whole", async () => {
    const store = new FolderCheckpoints(join(base(), "checkpoints"), { keepLast: 2 });
    await store.save(checkpoint(4));
    const path = await store.save(checkpoint(8));
    const { readFile } = promises;
    const denied = Object.assign(new Error("EIO: i/o error, read"), { code: "EIO", syscall: "read" });
    const failing = async (...args: Parameters<typeof readFile>) => {
      if (args[0] === path) throw denied;
      return readFile(...args);
    };
    Object.assign(promises, { readFile: failing });
    syncBuiltinESMExports();
    try {
      await assert.rejects(store.latest(refuse), coded("CHECKPOINT_READ", "EIO", "step-00000008"));
    } finally {
      Object.assign(promises, { readFile });
      syncBuiltinESMExports();
    }
    assert.deepEqual(await store.latest(refuse), checkpoint(8));
  });
});

describe("a checkpoint with flipped bytes", () => {
  const base = temporaryFolder();

  it("is passed over for the one before, and told, wherever the bytes are", async () => {
    const store = new FolderCheckpoints(join(base(), "checkpoints"), { keepLast: 2 });
    await store.save(checkpoint(4));
    const json = await store.save(checkpoint(8));
    const files = [json, json.replace(/json$/, "safetensors")];
    const whole = files.map((file) => readFileSync(file));
    const flips = fc.record({
      file: fc.nat({ max: 1 }),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      bits: fc.integer({ min: 1, max: 255 }),
      cut: fc.boolean(),
    });
    let damaged = 0;
    const flip = fc.asyncProperty(flips, async ({ file, at, bits, cut }) => {
      const bytes = Buffer.from(whole[file]!);
      const place = Math.floor(at * bytes.length);
      bytes[place]! ^= bits;
      writeFileSync(files[file]!, cut ? bytes.subarray(0, place) : bytes);
      try {
        // One kind of white space for another changes nothing.
        assert.deepEqual(await readCheckpoint(json), checkpoint(8));
      } catch (error) {
        assert.ok(coded("CHECKPOINT_DAMAGED", "step-00000008")(error), String(error));
        if (damaged++ % 100 === 0) {
          const told: unknown[] = [];
          assert.equal((await store.latest((error) => told.push(error)))?.step, 4);
          assert.equal(told.length, 1);
        }
      }
      writeFileSync(files[file]!, whole[file]!);
    });
    await fc.assert(flip, { numRuns: 2000 });
    assert.ok(damaged > 1900, `${damaged} of 2000`);
    assert.deepEqual(await store.latest(refuse), checkpoint(8));
  });

  it("stays where it was the best and the mark of that is damaged, which is told", async () => {
    const folder = join(base(), "marked");
    const store = new FolderCheckpoints(folder, { keepLast: 1 });
    await store.save(checkpoint(4));
    await store.markBest({ step: 4, figure: "knn/top1", value: 0.75 });
    const mark = join(folder, "best.json");
    const whole = readFileSync(mark, "utf8");
    for (const content of [whole.slice(0, 20), whole.replace("0.75", "0.25"), "null", ""]) {
      writeFileSync(mark, content);
      await assert.rejects(store.best(), coded("CHECKPOINT_DAMAGED", "best.json"), content);
    }
    await store.save(checkpoint(8));
    writeFileSync(mark, whole);
    assert.equal((await store.best())?.step, 4);
    await store.save(checkpoint(12));
    const kept = (await readdir(folder)).filter((name) => /^step-.*json$/.test(name));
    assert.deepEqual(kept, ["step-00000004.json", "step-00000012.json"]);
  });
});
