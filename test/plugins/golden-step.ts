/** A plugin's step on known class tokens and head weights: what a reference script computes too, without a backbone. */
import assert from "node:assert/strict";
import type { BackboneOutput } from "../../core/contexts.ts";
import { constant, type PluginUse, type Tensor2D } from "../../core/plugin.ts";
import {
  distance,
  globalViews,
  outputsOf,
  plugin,
  tinyTraining,
  valuesOf,
  type TinyOptions,
} from "../core/trainer/tiny.ts";
import { makeEngine } from "../support/engines.ts";
import { waves } from "../support/golden.ts";

export interface GoldenStep {
  /** Scalars by output: "loss/simclr". */
  readonly scalars: Readonly<Record<string, number>>;
  /** By parameter of the student. */
  readonly gradients: Readonly<Record<string, number[]>>;
  /** Running statistics after the step, by network and name. */
  readonly buffers: Readonly<Record<string, number[]>>;
}

/** Phases of the waves that a script uses too: of each network's class tokens, and of its first head parameter. */
const PHASES = { student: { tokens: 60, weights: 0 }, teacher: { tokens: 70, weights: 30 } } as const;
type NetworkName = keyof typeof PHASES;
const networkNames = Object.keys(PHASES) as NetworkName[];

/** In the place of what the backbone gives. */
const knownClassTokens = plugin("known", (hooks, name) => {
  hooks.forward.tap(name, (output, { pass, once, run }) => {
    const shape = [pass.views.count * run.batchSize, 32];
    const { tokens } = PHASES[pass.network.name as NetworkName];
    const clsToken = once(
      `known/${pass.key}`,
      () => constant(waves(shape[0]! * shape[1]!, tokens), shape) as Tensor2D,
    );
    return Object.create(output, { clsToken: { value: clsToken } }) as BackboneOutput;
  });
});

/**
 * One step of the plugin with 4 samples in two global views gives the golden values. The k-th parameter of its heads is
 * waves of phase k in the student, and of 30 + k in the teacher.
 */
export async function assertGoldenStep(
  method: PluginUse,
  golden: GoldenStep,
  options: TinyOptions = { views: [globalViews], run: { batchSize: 4, globalBatchSize: 4 } },
): Promise<void> {
  const engine = await makeEngine("eager on cpu");
  const training = await tinyTraining(engine, [method, knownClassTokens], options);
  const values = new Map([...(await valuesOf(training))].map(([name, v]) => [name, v.slice()]));
  const ofHeads = training.declarations.parameters().filter(({ name }) => !name.startsWith("backbone."));
  ofHeads.forEach(({ name }, k) => {
    for (const network of networkNames) {
      const own = values.get(`${network}/${name}`);
      own?.set(waves(own.length, PHASES[network].weights + k));
    }
  });
  await training.initialize(values);
  const outputs = await outputsOf(training);
  const after = await valuesOf(training);
  engine.close();

  const same = (what: string, got: ArrayLike<number> | undefined, want: readonly number[], most: number) => {
    assert.ok(got, `there is no ${what}`);
    const [apart, largest] = [distance(got, want), Math.max(...want.map(Math.abs))];
    // A gradient that is zero by an identity, as that of a bias in front of BatchNorm, is rounding alone.
    assert.ok(apart <= most * largest + 1e-7, `${what} differs by ${apart}, of ${largest}`);
  };
  for (const [name, value] of Object.entries(golden.scalars)) {
    same(name, outputs[name] as Float32Array | undefined, [value], 1e-5);
  }
  assert.deepEqual(
    Object.keys(golden.gradients),
    ofHeads.map(({ name }) => name),
  );
  for (const [name, gradient] of Object.entries(golden.gradients)) {
    same(`gradient of ${name}`, outputs[`gradient/${name}`] as Float32Array | undefined, gradient, 1e-4);
  }
  for (const [name, buffer] of Object.entries(golden.buffers)) same(name, after.get(name), buffer, 1e-5);
}
