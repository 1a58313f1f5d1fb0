/**
 * What tests of plugins need.
 *
 * @module relata/testing
 */
export { PluginTester, type PluginCases, type Runner } from "./plugin-tester.ts";
export { globalViews, localViews, tinyBatch, tinyTraining, type TinyOptions } from "./tiny-run.ts";
export type { ViewBatch } from "../data/pipeline.ts";
