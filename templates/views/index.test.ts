/** node --import tsx --test index.test.ts */
import { describe, it } from "node:test";
import dino from "relata/plugins/dino";
import { PluginTester } from "relata/testing";
import plugin from "./index.ts";

PluginTester.runner = { describe, it };
PluginTester.run(plugin, {
  valid: [{ size: 16 }, { size: 8, count: 1, brightness: 0 }],
  invalid: [{ options: { brightness: 2 }, path: "brightness" }],
  // It has no loss of its own.
  beside: [dino({ outDim: 16, hiddenDim: 16, bottleneckDim: 8, freezeLastLayerEpochs: 0 })],
});
