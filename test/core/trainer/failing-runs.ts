/**
 * Runs that plugins bring down, one after the other in a process of their own: prints how each ended as JSON, and
 * ends by itself when nothing is left running. Started by failures.test.ts.
 */
import { rm } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { RelataError } from "../../../core/errors.ts";
import type { LossContext, LossSink } from "../../../core/contexts.ts";
import type { Hooks } from "../../../core/hooks.ts";
import type { PluginUse } from "../../../core/plugin.ts";
import { makePictures, nothingTold, tinyDino, trainTiny, type TinyConfig } from "./runs.ts";
import { plugin } from "./tiny.ts";

/** How a run ended. */
export interface End {
  readonly code: string;
  readonly message: string;
  /** Steps done. */
  readonly steps: number;
  readonly checkpoints: readonly number[];
}

const lossTap = (tap: (losses: LossSink, step: LossContext) => void): PluginUse =>
  plugin("bad", (hooks, name) => hooks.loss.tap(name, tap));

const later = async (): Promise<void> => {
  await Promise.resolve();
};

let lastStep = 0;

const cases: Record<string, { bad: PluginUse; config?: TinyConfig }> = {
  "throws in apply": {
    bad: plugin("bad", () => {
      throw new Error("boom");
    }),
  },
  "throws in setup": {
    bad: plugin("bad", (hooks, name) =>
      hooks.setup.tapPromise(name, () => Promise.reject(new Error("boom"))),
    ),
  },
  "throws in the loss": {
    bad: lossTap(() => {
      throw new TypeError("boom");
    }),
    config: { data: { workers: 1 } },
  },
  "throws after a step": {
    bad: plugin("bad", (hooks, name) => {
      hooks.afterStep.tap(name, ({ step }) => {
        if (step === 1) throw new Error("boom");
      });
    }),
    config: { data: { workers: 1 } },
  },
  "throws after an epoch": {
    bad: plugin("bad", (hooks, name) =>
      hooks.afterEpoch.tapPromise(name, () => Promise.reject(new Error("boom"))),
    ),
  },
  "reads a value": {
    bad: lossTap((losses, { pixels }) => {
      losses.metric("x", tf.scalar(tf.mean(pixels("global")).dataSync()[0]!));
    }),
  },
  // eslint-disable-next-line no-restricted-properties -- what this run is about
  "freezes Math.random": { bad: lossTap((losses) => losses.metric("x", tf.scalar(Math.random()))) },
  "draws in TensorFlow": { bad: lossTap((losses) => losses.metric("x", tf.mean(tf.randomUniform([4])))) },
  "freezes the step": {
    bad: plugin("bad", (hooks, name) => {
      hooks.afterStep.tap(name, ({ step }) => void (lastStep = step + 1));
      hooks.loss.tap(name, (losses) => losses.metric("x", tf.scalar(lastStep)));
    }),
  },
  "taps asynchronously": {
    // Typed hooks have no such method; those that plugins in JavaScript meet have.
    bad: plugin("bad", (hooks, name) => (hooks.loss as unknown as Hooks["setup"]).tapPromise(name, later)),
  },
  "taps with an async function": {
    bad: plugin("bad", (hooks, name) => hooks.loss.tap(name, later as never)),
  },
  "returns nothing from a waterfall": {
    bad: plugin("bad", (hooks, name) => hooks.forward.tap(name, (() => undefined) as never)),
  },
};

const base = await makePictures();
try {
  const ends: Record<string, End> = {};
  for (const [name, { bad, config }] of Object.entries(cases)) {
    const told = nothingTold();
    const end = { steps: told.steps, checkpoints: told.checkpoints };
    try {
      await trainTiny({ base, name, method: [tinyDino, bad], told, ...config });
      ends[name] = { code: "none", message: "the run went well", ...end, steps: end.steps.length };
    } catch (error) {
      const { code } = error instanceof RelataError ? error : { code: "not coded" };
      ends[name] = { code, message: String(error), ...end, steps: end.steps.length };
    }
  }
  console.log(JSON.stringify(ends));
} finally {
  await rm(base, { recursive: true, force: true });
}
