/** node --import tsx --test index.test.ts */
import { describe, it } from "node:test";
import { PluginTester } from "relata/testing";
import plugin from "./index.ts";

PluginTester.runner = { describe, it };
PluginTester.run(plugin, {
  valid: [{}, { weight: 2 }],
  invalid: [{ options: { weight: -1 }, path: "weight" }],
});
