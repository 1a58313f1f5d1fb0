import assert from "node:assert/strict";
import { ahead, mapLimited } from "../../../core/data/ahead.ts";

describe("ahead", () => {
  it("makes the next value, and no further one, while one is used", async () => {
    const log: string[] = [];
    async function* source() {
      for (let i = 0; i < 4; i++) {
        log.push(`make ${i}`);
        yield await Promise.resolve(i);
      }
    }
    for await (const value of ahead(source())) {
      await new Promise((done) => setImmediate(done));
      log.push(`use ${value}`);
    }
    assert.deepEqual(log, ["make 0", "make 1", "use 0", "make 2", "use 1", "make 3", "use 2", "use 3"]);
  });

  it("throws an error in its turn, and ends the source when it is left", async () => {
    let ended = 0;
    async function* source() {
      try {
        yield await Promise.resolve(1);
        throw new TypeError("broken");
      } finally {
        ended++;
      }
    }
    const seen: number[] = [];
    const reading = async () => {
      for await (const value of ahead(source())) {
        await new Promise((done) => setImmediate(done));
        seen.push(value);
      }
    };
    await assert.rejects(reading, new TypeError("broken"));
    assert.deepEqual(seen, [1]);

    for await (const _ of ahead(source())) break;
    assert.equal(ended, 2);
  });
});

describe("mapLimited", () => {
  it("keeps the order, and begins at most so much at a time", async () => {
    let [running, most] = [0, 0];
    const values = Array.from({ length: 20 }, (_, i) => i);
    const doubled = await mapLimited(values, 3, async (value) => {
      most = Math.max(most, ++running);
      for (let i = 0; i < 20 - value; i++) await Promise.resolve();
      running--;
      return 2 * value;
    });
    assert.deepEqual(
      doubled,
      values.map((value) => 2 * value),
    );
    assert.equal(most, 3);
    assert.deepEqual(await mapLimited([], 3, () => Promise.resolve(1)), []);
  });

  it("fails with the first error", async () => {
    const work = (value: number) =>
      value === 2 ? Promise.reject(new TypeError("two")) : Promise.resolve(value);
    await assert.rejects(mapLimited([1, 2, 3], 2, work), new TypeError("two"));
  });
});
