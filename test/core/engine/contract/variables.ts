import assert from "node:assert/strict";
import { Random } from "../../../../core/random.ts";
import { makeEngine, type EngineKind } from "../../../support/engines.ts";
import { assertSameBits, f32, loaded, runOnce, useEngine, valuesOf } from "./setup.ts";

export function describeVariables(kind: EngineKind): void {
  describe("variables", () => {
    const use = useEngine(kind);

    it("keep every bit of what is loaded: scalars, many small ones, a large one", async () => {
      const { engine } = use;
      const random = new Random(0, "variables");
      const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
      const pairs = [
        [engine.variable("scalar", []), f32(0.1)],
        [engine.variable("special", [2, 3]), f32(NaN, Infinity, -Infinity, -0, 3.4e38, 1e-45)],
        [engine.variable("large", [64, 1024]), normals(64 * 1024)],
        ...Array.from({ length: 400 }, (_, i) => {
          const size = 1 + (i % 4);
          return [engine.variable(`small/${i}`, [size]), normals(size)] as const;
        }),
      ] as const;
      await engine.load(pairs);
      const order = [...pairs].reverse();
      const saved = await engine.save(order.map(([variable]) => variable));
      order.forEach(([{ name }, values], i) => assertSameBits(saved[i]!, values, name));
    });

    it("take a new value with each load, and keep none of the arrays", async () => {
      const { engine } = use;
      const values = f32(1, 2);
      const variable = engine.variable("v", [2]);
      await engine.load([[variable, values]]);
      values.fill(9);
      const [saved] = await engine.save([variable]);
      assert.deepEqual([...saved!], [1, 2]);
      saved!.fill(9);
      assert.deepEqual(await valuesOf(engine, variable), [1, 2]);
      await engine.load([[variable, f32(3, 4)]]);
      assert.deepEqual(await valuesOf(engine, variable), [3, 4]);
    });

    it("may have names that differ in any character", async () => {
      const { engine } = use;
      const names = ["a b", "a_b", "a:b", "ä/ö", "_a", "A b"];
      const variables = names.map((name) => engine.variable(name, []));
      await engine.load(variables.map((variable, i) => [variable, f32(i)] as const));
      const saved = await engine.save(variables);
      assert.deepEqual(
        saved.map((values) => values[0]),
        [0, 1, 2, 3, 4, 5],
      );
    });

    it("are declared once", async () => {
      const { engine } = use;
      engine.variable("v", [2]);
      assert.throws(() => engine.variable("v", [3]), { code: "VARIABLE_DECLARED_TWICE", message: /"v"/ });
    });

    it("belong to one engine, and have no value before the first load", async () => {
      const { engine } = use;
      const other = await makeEngine(kind);
      const foreign = await loaded(other, "foreign", 1);
      const empty = engine.variable("empty", []);
      for (const variable of [foreign, empty]) {
        const unknown = { code: "VARIABLE_UNKNOWN", message: new RegExp(`"${variable.name}"`) };
        await assert.rejects(engine.save([variable]), unknown);
        await assert.rejects(
          runOnce(engine, (tracer) => tracer.output("y", tracer.read(variable))),
          unknown,
        );
        await assert.rejects(
          runOnce(engine, (tracer) => tracer.assign(variable, tracer.input("x", [], "float32")), {
            x: f32(1),
          }),
          unknown,
        );
      }
      await assert.rejects(engine.load([[foreign, f32(1)]]), { code: "VARIABLE_UNKNOWN" });
      other.close();
    });

    it("refuse a wrong number of values, and keep theirs", async () => {
      const { engine } = use;
      const variable = await loaded(engine, "v", [1, 2]);
      for (const values of [f32(1), f32(1, 2, 3)]) {
        await assert.rejects(engine.load([[variable, values]]), {
          code: "VARIABLE_VALUES",
          message: /"v" holds 2 values/,
        });
      }
      assert.deepEqual(await valuesOf(engine, variable), [1, 2]);
    });
  });
}
