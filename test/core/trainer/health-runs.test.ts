/** Runs that are made to fail in the ways that runs fail, and runs that go well. */
import assert from "node:assert/strict";
import { CENTERING, definePlugin, tf, z } from "../../../core/plugin.ts";
import channelRelation from "../../../plugins/channel-relation/index.ts";
import dino from "../../../plugins/dino/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import simclr from "../../../plugins/simclr/index.ts";
import { makeEngine } from "../../support/engines.ts";
import { watchedRun, type Watched, type WatchedRun } from "./health-runs.ts";

const head = { outDim: 64, hiddenDim: 64, bottleneckDim: 32, freezeLastLayerEpochs: 0 };
const patches = ibot({
  ...head,
  ...{ teacherTemp: 0.04, warmupTeacherTempEpochs: 0, maskRatio: 0.5, maskRatioVariation: 0 },
});
const overlapSide = { global: 3, local: 2 };

/** Targets are sharpened, and nothing keeps them apart. */
const noCentering = definePlugin(
  { name: "no-centering", api: "^1", summary: "made by a test", options: z.strictObject({}) },
  () => ({
    services: (container) =>
      container.bind(CENTERING, () => ({
        declare: () => ({
          probabilities: (_, logits, temperature) => tf.softmax(tf.div(logits, temperature)),
        }),
      })),
  }),
);

async function run(options: Omit<WatchedRun, "engine">): Promise<Watched> {
  const engine = await makeEngine("captured");
  try {
    return await watchedRun({ engine, ...options });
  } finally {
    engine.close();
  }
}

function assertTold({ warnings }: Watched, ...expected: readonly RegExp[]): void {
  const all = warnings.map(({ step, told }) => `step ${step}: ${told}`);
  for (const words of expected)
    assert.ok(
      all.some((told) => words.test(told)),
      `${words} in\n${all.join("\n")}`,
    );
}

describe("the health of a run", () => {
  for (const [name, method] of [
    ["DINO", [dino(head)]],
    ["SERE", [dino(head), patches, pixelRelation({ overlapSide }), channelRelation()]],
    ["SimCLR", [simclr()]],
  ] as const) {
    it(`of ${name} is good`, async () => {
      const { warnings, scalars } = await run({ method });
      assert.deepEqual(warnings, []);
      assert.ok(scalars.at(-1)!["metric/student.featureStd"]! > 0.05);
    });
  }

  it("tells of a teacher's temperature that is too high", async () => {
    const hot = dino({ ...head, teacherTemp: 1, warmupTeacherTemp: 1 });
    assertTold(
      await run({ method: [hot] }),
      /targets are nearly uniform.*lower plugins\.dino\.teacherTemp, now 1, below plugins\.dino\.studentTemp, 0\.1/,
    );
  });

  it("tells of targets that nothing centers", async () => {
    assertTold(
      await run({ method: [noCentering(), dino(head)] }),
      /targets are one or two prototypes for all images.*see that targets are centered/,
    );
  });

  it("tells of a learning rate that is too high", async () => {
    assertTold(
      await run({ method: [dino(head)], lr: 1 }),
      /the student gives nearly the same features for all images.*lower train\.lr/,
    );
  });

  it("tells of relations that say the same of all points and all images", async () => {
    const method = [pixelRelation({ overlapSide, teacherTemp: 50 }), channelRelation({ teacherTemp: 50 })];
    assertTold(
      await run({ method }),
      /each point relates to all points alike.*lower plugins\.pixel-relation\.teacherTemp, now 50/,
      /the points of all images relate alike/,
      /the channels of all images relate alike/,
    );
  });
});
