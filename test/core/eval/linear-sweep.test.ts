import assert from "node:assert/strict";
import type { Engine, Variable } from "../../../core/engine/engine.ts";
import { LinearSweep, type SweepOptions } from "../../../core/eval/linear-sweep.ts";
import { Random } from "../../../core/random.ts";
import { makeEngine } from "../../support/engines.ts";
import { readGolden, waves } from "../../support/golden.ts";

interface Golden {
  readonly lrs: readonly number[];
  readonly orders: readonly (readonly number[])[];
  /** By learning rate, [D, C]. */
  readonly weights: readonly (readonly number[])[];
  readonly biases: readonly (readonly number[])[];
  readonly top1: readonly number[];
  readonly top5: readonly number[];
}

const [ROWS, DIM, CLASSES, BATCH] = [8, 5, 6, 3];
const labels = Int32Array.from({ length: ROWS }, (_, i) => i % CLASSES);
const features = { data: waves(ROWS * DIM, 1), count: ROWS, dim: DIM };
const train = { features, labels };

function options(changes: Partial<SweepOptions> = {}): SweepOptions {
  const sizes = { numClasses: CLASSES, epochs: 6, batchSize: BATCH, seed: 0 };
  return { train, tested: [train], lrs: [0.1, 20, 300], ...sizes, ...changes };
}

/** Starts weights from `start` [D, C] for every learning rate; gives the engine's variables by the end of their names. */
function starting(engine: Engine, start: Float32Array): Map<string, Variable> {
  const variables = new Map<string, Variable>();
  const [declare, load] = [engine.variable.bind(engine), engine.load.bind(engine)];
  engine.variable = (name, shape) => {
    const variable = declare(name, shape);
    variables.set(name.split("/").at(-1)!, variable);
    return variable;
  };
  engine.load = (values) => {
    const width = variables.get("weights")!.shape[1]!;
    const own = (at: number) => start[Math.floor(at / width) * CLASSES + (at % CLASSES)]!;
    return load(
      Array.from(values, ([variable, value]) =>
        variable === variables.get("weights")
          ? ([variable, value.map((_, at) => own(at))] as const)
          : ([variable, value] as const),
      ),
    );
  };
  return variables;
}

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`LinearSweep, ${kind}`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    it("trains each learning rate as PyTorch's SGD does alone, also on a short last batch", async () => {
      const golden = readGolden<Golden>(import.meta.url, "linear-sweep.golden.json");
      golden.orders.forEach((order, epoch) =>
        assert.deepEqual([...new Random(0, "linear order", epoch).permutation(ROWS)], order),
      );
      const variables = starting(engine, waves(DIM * CLASSES, 2, 0.1));
      const [accuracy] = await new LinearSweep(engine).run(options({ lrs: golden.lrs }));
      assert.deepEqual(accuracy, { top1: golden.top1, top5: golden.top5 });
      const [weights, biases] = await engine.save([variables.get("weights")!, variables.get("biases")!]);
      const L = golden.lrs.length;
      golden.lrs.forEach((lr, l) => {
        for (const [name, own, expected] of [
          ["weights", weights!, golden.weights[l]!],
          ["biases", biases!, golden.biases[l]!],
        ] as const) {
          const size = Math.max(...expected.map(Math.abs));
          expected.forEach((value, i) => {
            const at = Math.floor(i / CLASSES) * L * CLASSES + l * CLASSES + (i % CLASSES);
            assert.ok(Math.abs(own[at]! - value) < 1e-5 * size, `${name} of lr ${lr}`);
          });
        }
      });
    });

    it("gives a learning rate the same beside others, and again", async () => {
      const sweep = new LinearSweep(engine);
      const [together] = await sweep.run(options());
      const [again] = await sweep.run(options());
      assert.deepEqual(again, together);
      for (const [l, lr] of [0.1, 20, 300].entries()) {
        const [alone] = await sweep.run(options({ lrs: [lr] }));
        assert.equal(alone!.top1[0], together!.top1[l]);
      }
    });

    it("counts one that diverges as right about nothing", async () => {
      const large = { features: { ...features, data: features.data.map((x) => 1e3 * x) }, labels };
      const changes = { train: large, tested: [large], lrs: [1, 1e38], epochs: 12 };
      const [accuracy] = await new LinearSweep(engine).run(options(changes));
      assert.ok(accuracy!.top1[0]! > 0.5);
      assert.deepEqual([accuracy!.top1[1], accuracy!.top5![1]], [0, 0]);
    });

    it("learns from mirror images too, and tests on what it is given", async () => {
      // Of the mirror images alone a class could not be told.
      const blank = { data: new Float32Array(ROWS * DIM), count: ROWS, dim: DIM };
      const sweep = new LinearSweep(engine);
      const [half] = await sweep.run(options({ mirrored: blank, lrs: [20], epochs: 30 }));
      const [none] = await sweep.run(
        options({ train: { features: blank, labels }, mirrored: blank, lrs: [20], epochs: 30 }),
      );
      assert.ok(half!.top1[0]! > 2 * none!.top1[0]!, `${half!.top1[0]} and ${none!.top1[0]}`);
      const other = { features, labels: labels.map((label) => (label + 1) % CLASSES) };
      const [right, wrong] = await sweep.run(options({ tested: [train, other], lrs: [20], epochs: 30 }));
      assert.ok(right!.top1[0]! > 0.8 && wrong!.top1[0]! < 0.2);
    });
  });
}
