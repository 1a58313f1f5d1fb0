import assert from "node:assert/strict";
import { definePlugin, z } from "../../core/plugin.ts";
import { orderPlugins } from "../../registry/order.ts";

/** "b<a,c" is plugin b that comes after a and c. */
function order(...texts: string[]): string[] {
  const plugins = texts.map((text) => {
    const [name = "", after] = text.split("<");
    const manifest = {
      name,
      api: "^1",
      summary: "",
      options: z.strictObject({}),
      after: after?.split(","),
    } as const;
    return { definition: definePlugin(manifest, () => {}) };
  });
  return orderPlugins(plugins).map(({ definition }) => definition.manifest.name);
}

describe("plugin order", () => {
  it("keeps the config's order where nothing else is asked for", () => {
    assert.deepEqual(order("c", "a", "b"), ["c", "a", "b"]);
    assert.deepEqual(order("b<a", "c<a", "a"), ["a", "b", "c"]);
    assert.deepEqual(order(), []);
  });

  it("puts plugins behind all that they come after", () => {
    assert.deepEqual(order("loss<views,relation", "relation<views", "views", "probe"), [
      "views",
      "relation",
      "loss",
      "probe",
    ]);
  });

  it("ignores plugins that are not enabled", () => {
    assert.deepEqual(order("b<absent", "a<b"), ["b", "a"]);
  });

  it("shows a cycle, without those that only wait for it", () => {
    assert.throws(() => order("a<b", "b<a"), { code: "PLUGIN_CYCLE", message: /: a -> b -> a$/ });
    assert.throws(() => order("first", "waiting<x", "x<y", "y<z", "z<x"), { message: /: x -> y -> z -> x$/ });
    assert.throws(() => order("self<self"), { message: /: self -> self$/ });
  });
});
