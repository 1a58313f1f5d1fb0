/** relata/testing: what tests of plugins need. */
export { PluginTester, type PluginCases } from "./plugin-tester.ts";
export { globalViews, localViews, tinyBatch, tinyTraining } from "./tiny-run.ts";
