/** The plugin in a step, and what setup says of a classifier. */
import assert from "node:assert/strict";
import type { SetupContext } from "../../../core/contexts.ts";
import { onStudent, coded, declares, distance, globalViews, learnsOnes, localViews, outputsOf, plugin, tinyBatch, tinyTraining } from "../../core/trainer/tiny.ts"; // prettier-ignore
import supervised from "../../../plugins/supervised/index.ts";
import { makeEngine } from "../../support/engines.ts";

const run = { numClasses: 3, batchSize: 4, globalBatchSize: 4 };
type Plugins = Parameters<typeof tinyTraining>[1];

async function withTraining<T>(
  plugins: Plugins,
  use: (training: Awaited<ReturnType<typeof tinyTraining>>) => Promise<T>,
  options: Parameters<typeof tinyTraining>[2] = { run },
): Promise<T> {
  const engine = await makeEngine("eager on cpu");
  try {
    return await use(await tinyTraining(engine, plugins, options));
  } finally {
    engine.close();
  }
}

describe("the supervised plugin", () => {
  it("refuses images without labels", () =>
    assert.rejects(withTraining([supervised()], outputsOf, {}), coded("LABELS_MISSING", '"supervised"')));

  it("learns the labels of a batch, and leaves other views alone", () =>
    withTraining(
      [supervised({ labelSmoothing: 0, mixup: 0 })],
      async (training) => {
        assert.equal(training.declarations.inputs.size, 0, "nothing is drawn where nothing is mixed");
        const batch = tinyBatch(training);
        const at = { step: 1, epoch: 0 };
        for (let step = 0; step < 20; step++) await training.step("train", batch, at);
        const { scalars } = await training.step("train", batch, at);
        assert.equal(scalars["metric/supervised.accuracy"], 1);
        assert.ok(scalars["loss/supervised"]! < 0.5, `a loss of ${scalars["loss/supervised"]}`);
      },
      { run, settings: { lr: 5e-3 } },
    ));

  it("mixes its views as drawn for each sample, whatever the batch that it is in", () =>
    withTraining([supervised({ mixup: 1, cutmix: 1 })], async (training) => {
      const [input] = [...training.declarations.inputs.values()];
      const batch = tinyBatch(training);
      const rows = (indices: number[], step = 1) =>
        training.feeds({ ...batch, indices: Int32Array.from(indices) }, { step, epoch: 0 })[
          input!.name
        ] as Float32Array;
      const [row, swapped, later] = [rows([3, 5, 7, 9]), rows([5, 3, 9, 7]), rows([3, 5, 7, 9], 2)];
      assert.deepEqual(swapped.subarray(6, 12), row.subarray(0, 6));
      assert.ok(distance(later, row) > 0);
      assert.ok(distance(row.subarray(0, 6), row.subarray(24, 30)) > 0, "views of a sample draw apart");
    }));

  it("gives the step mixed pixels of its own views only", async () => {
    const pixels = plugin("pixels", (hooks, name) =>
      hooks.loss.tap(name, (losses, step) => {
        for (const group of ["global", "local"]) losses.metric(group, step.pixels(group));
      }),
    );
    const seesBoth = onStudent("sees", { cls: true }, (_, __, setup) => {
      setup.pass({ network: setup.network("student"), views: "local", outputs: { cls: true } });
    });
    const ofStep = (options: object) =>
      withTraining([supervised(options), pixels, seesBoth], (training) => outputsOf(training), {
        run,
        views: [globalViews, localViews],
      });
    const [mixed, plain] = [await ofStep({ mixup: 1, cutmix: 0 }), await ofStep({})];
    assert.ok(distance(mixed["metric/pixels.global"]!, plain["metric/pixels.global"]!) > 0.1);
    assert.equal(distance(mixed["metric/pixels.local"]!, plain["metric/pixels.local"]!), 0);
  });
});

describe("a classifier", () => {
  const refused = (declare: (setup: SetupContext) => void, code: string, ...words: string[]) =>
    assert.rejects(withTraining([learnsOnes, declares("acme", declare)], outputsOf), coded(code, ...words));
  const zeros = { kind: "zeros" } as const;

  it("has weights of the classes and the backbone's width", () =>
    refused(
      (setup) => {
        const weight = setup.variable("weight", [3, 31], zeros);
        setup.classifier({ weight, bias: setup.variable("bias", [3], zeros) });
      },
      "CLASSIFIER_SHAPE",
      '"acme"',
      "[3,31] and [3]",
      "[3,32] and [3]",
    ));

  it("is one", () =>
    refused(
      (setup) => {
        const weight = setup.variable("weight", [3, 32], zeros);
        const own = { weight, bias: setup.variable("bias", [3], zeros) };
        setup.classifier(own);
        setup.classifier(own);
      },
      "DECLARED_TWICE",
      '"classifier"',
      '"acme"',
    ));

  it("is of variables that were declared", async () => {
    await refused(
      (setup) => setup.classifier({ weight: 1 } as never),
      "ARGUMENT_INVALID",
      "setup.classifier",
    );
    const named = { name: "acme.none", shape: [3] };
    await refused((setup) => setup.classifier({ weight: named, bias: named }), "UNDECLARED", "acme.none");
  });
});
