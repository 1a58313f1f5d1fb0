import assert from "node:assert/strict";
import { Container } from "../../../core/container.ts";
import type { HeadModule, ViewGroupSpec } from "../../../core/contexts.ts";
import { PrototypeLayer } from "../../../core/heads/projection-head.ts";
import { withScope } from "../../../core/scopes.ts";
import { CENTERING } from "../../../core/tokens.ts";
import { MovingCenter } from "../../../core/trainer/centering.ts";
import { Declarations } from "../../../core/trainer/declarations.ts";
import { coded, globalViews, localViews, tinyBackbone, tinyRun } from "./tiny.ts";

const zeros = { kind: "zeros" } as const;

const declarations = (views: readonly ViewGroupSpec[] = [globalViews, localViews]) =>
  new Declarations(tinyRun, tinyBackbone(), views, new Container());

/** As in a plugin's setup tap. */
const within = <T>(plugin: string, run: () => T): T => withScope(`${plugin}/setup`, run);

describe("views and passes", () => {
  it("finds a view group, and names the plugin and the groups that there are where it does not", () => {
    const setup = declarations();
    assert.equal(setup.viewGroup("local"), localViews);
    assert.throws(
      () => within("acme", () => setup.viewGroup("huge")),
      coded("VIEW_GROUP_MISSING", '"acme"', '"huge"', "global, local"),
    );
    assert.throws(
      () =>
        within("acme", () => setup.pass({ network: setup.network("student"), views: "huge", outputs: {} })),
      coded("VIEW_GROUP_MISSING", '"acme"'),
    );
  });

  it("lists the views that methods learn from, and finds auxiliary ones by their name alone", () => {
    const large = { ...globalViews, group: "large", size: 32, sameCropAs: "global", auxiliary: true };
    const setup = declarations([large, globalViews, localViews]);
    assert.deepEqual(setup.views, [globalViews, localViews]);
    assert.deepEqual(setup.viewGroups, [large, globalViews, localViews]);
    assert.equal(setup.viewGroup("large"), large);
    const { views, grid } = setup.pass({ network: setup.network("student"), views: "large", outputs: {} });
    assert.deepEqual([views, grid.rows], [large, 4]);
    assert.throws(
      () => within("acme", () => setup.viewGroup("huge")),
      coded("VIEW_GROUP_MISSING", '"acme"', "large, global, local"),
    );
  });

  it("refuses views that the backbone's patches do not tile", () => {
    const setup = declarations([{ ...globalViews, size: 20 }]);
    assert.throws(
      () => setup.pass({ network: setup.network("student"), views: "global", outputs: {} }),
      coded("VIEW_SIZE", '"global"', "20 pixels"),
    );
  });

  it("shares equal passes and merges what is asked of them", () => {
    const setup = declarations();
    const network = setup.network("student");
    const first = setup.pass({ network, views: "global", outputs: { cls: true } });
    const second = setup.pass({ network, views: "global", outputs: { patches: true, blocks: [0] } });
    const third = setup.pass({ network, views: "global", outputs: { blocks: [-1, 0] } });
    assert.equal(second, first);
    assert.equal(third, first);
    const pass = setup.passes.get(first.key)!;
    assert.deepEqual([pass.cls, pass.patches, [...pass.blocks]], [true, true, [0, 1]]);
    assert.deepEqual({ ...pass.grid }, { rows: 2, columns: 2, stride: 8 });
  });

  it("keeps passes apart by network, view group and mask", () => {
    const setup = declarations();
    const [student, teacher] = [setup.network("student"), setup.network("teacher")];
    for (const network of [student, teacher]) {
      for (const views of ["global", "local"]) {
        for (const unmasked of [false, true])
          setup.pass({ network, views, unmasked, outputs: { cls: true } });
      }
    }
    assert.equal(setup.passes.size, 8);
  });

  it("counts blocks from the end, and refuses those that the backbone has not", () => {
    const setup = declarations();
    assert.deepEqual(
      [0, 1, -1, -2].map((i) => setup.blockIndex(i)),
      [0, 1, 1, 0],
    );
    for (const block of [2, -3, 0.5]) {
      assert.throws(
        () => within("acme", () => setup.blockIndex(block)),
        coded("BLOCK_MISSING", '"acme"', `block ${block}`, "2 blocks"),
      );
    }
  });
});

describe("networks", () => {
  it("has a student, a teacher that is its moving average, and others that follow one", () => {
    const setup = declarations();
    const teacher = setup.network("teacher");
    assert.equal(teacher.from, setup.network("student"));
    assert.equal(teacher.update, "ema");
    const gram = setup.network("gram", { from: "teacher", update: { copyEvery: 10 } });
    assert.equal(gram.from, teacher);
    assert.equal(setup.network("gram", { from: "teacher", update: { copyEvery: 10 } }), gram);
    assert.equal(setup.network("late", { from: "gram", update: "frozen" }).from, gram);
  });

  it("declares what a network follows before the network itself", () => {
    const setup = declarations();
    setup.network("gram", { from: "teacher", update: "frozen" });
    assert.deepEqual([...setup.networks.keys()], ["student", "teacher", "gram"]);
  });

  it("refuses a network, or one to follow, that nobody described", () => {
    const setup = declarations();
    assert.throws(
      () => within("acme", () => setup.network("gram" as "teacher")),
      coded("NETWORK_UNKNOWN", '"acme"', '"gram"'),
    );
    assert.throws(
      () => within("acme", () => setup.network("gram", { from: "nobody", update: "ema" })),
      coded("NETWORK_UNKNOWN", '"acme"', '"nobody"'),
    );
  });

  it("refuses to describe a network in two ways", () => {
    const setup = declarations();
    setup.network("teacher");
    assert.equal(setup.network("teacher", { from: "student", update: "ema" }), setup.network("teacher"));
    assert.throws(
      () => within("acme", () => setup.network("teacher", { from: "student", update: "frozen" })),
      coded("NETWORK_CONFLICT", '"acme"', '"teacher"'),
    );
    setup.network("gram", { from: "teacher", update: { copyEvery: 10 } });
    assert.throws(
      () => setup.network("gram", { from: "teacher", update: { copyEvery: 20 } }),
      coded("NETWORK_CONFLICT", '"gram"'),
    );
    assert.throws(
      () => setup.network("gram", { from: "student", update: { copyEvery: 10 } }),
      coded("NETWORK_CONFLICT", '"gram"'),
    );
  });

  it("refuses to copy a network every 0 or 1.5 steps, or from a step before the first", () => {
    const intervals = [0, -1, 1.5, NaN].map((copyEvery) => ({ copyEvery }));
    for (const update of [...intervals, { copyEvery: 3, fromStep: -1 }, { copyEvery: 3, fromStep: 0.5 }]) {
      assert.throws(
        () => within("acme", () => declarations().network("gram", { from: "student", update })),
        coded("COPY_INTERVAL", '"acme"', '"gram"', ...Object.values(update).map(String)),
      );
    }
  });

  it("gives services of the run, and says which one nobody bound", () => {
    const container = new Container().bind(CENTERING, () => new MovingCenter());
    const setup = new Declarations(tinyRun, tinyBackbone(), [globalViews], container);
    assert.ok(setup.service(CENTERING) instanceof MovingCenter, "the bound one");
    assert.throws(() => declarations().service(CENTERING), coded("SERVICE_NOT_BOUND", "CENTERING"));
    within("acme", () => {
      const spec = { prototypes: 4, momentum: 0.9 };
      for (const name of [undefined, "patches"]) setup.service(CENTERING).declare(setup, { ...spec, name });
    });
    assert.deepEqual(
      setup.buffers().map(({ name }) => name),
      ["acme.center", "acme.patches"],
    );
  });
});

describe("variables", () => {
  it("names variables, buffers, schedules, inputs and phases after their plugin", () => {
    const setup = declarations();
    const names = within("acme", () => [
      setup.variable("scale", [2], zeros).name,
      setup.buffer("queue", [2, 2], zeros).name,
      setup.schedule("temp", () => 1).name,
      setup.input("noise", { shape: [2], sample: () => new Float32Array(2) }).name,
      setup.phase("late", (epoch) => epoch > 1).name,
    ]);
    assert.deepEqual(names, ["acme.scale", "acme.queue", "acme.temp", "acme.noise", "acme.late"]);
    assert.equal(within("other", () => setup.variable("scale", [2], zeros)).name, "other.scale");
  });

  it("refuses a shape that no tensor has", () => {
    for (const shape of [[0], [2, -1], [1.5], [NaN]]) {
      const refused = coded("VARIABLE_SHAPE", '"acme"', '"acme.scale"', `[${shape.join(", ")}]`);
      assert.throws(() => within("acme", () => declarations().variable("scale", shape, zeros)), refused);
      assert.throws(() => within("acme", () => declarations().buffer("scale", shape, zeros)), refused);
    }
  });

  it("refuses a name that is taken", () => {
    const setup = declarations();
    const twice = (declare: () => unknown, code: string) => {
      within("acme", declare);
      assert.throws(() => within("acme", declare), coded(code, '"acme.x"'));
    };
    twice(() => setup.variable("x", [1], zeros), "VARIABLE_DECLARED_TWICE");
    assert.throws(
      () => within("acme", () => setup.buffer("x", [1], zeros)),
      coded("VARIABLE_DECLARED_TWICE", '"acme.x"'),
    );
  });

  it("refuses one name for two of schedules, inputs and phases, which the step tells apart by name", () => {
    const declare: ((setup: Declarations) => unknown)[] = [
      (setup) => setup.schedule("x", () => 1),
      (setup) => setup.input("x", { shape: [], sample: () => new Float32Array(1) }),
      (setup) => setup.phase("x", () => true),
    ];
    for (const first of declare) {
      for (const second of declare) {
        const setup = declarations();
        within("acme", () => first(setup));
        assert.throws(() => within("acme", () => second(setup)), coded("DECLARED_TWICE", '"acme.x"'));
      }
    }
  });

  it("gives every network its copy of what follows the student, and of buffers that ask for it", () => {
    const setup = declarations();
    const [student, teacher] = [setup.network("student"), setup.network("teacher")];
    const held = within("acme", () => {
      const options = [{}, { ema: false }, { trainable: false }, { trainable: false, ema: true }];
      const variables = options.map((o, i) => setup.variable(`v${i}`, [1], zeros, o));
      variables.push(setup.buffer("b0", [1], zeros), setup.buffer("b1", [1], zeros, { perNetwork: true }));
      return variables.map(({ name }) => {
        const declared = setup.variables.get(name)!;
        return [setup.isIn(declared, student), setup.isIn(declared, teacher)];
      });
    });
    assert.deepEqual(held, [
      [true, true],
      [true, false],
      [true, false],
      [true, true],
      [false, false],
      [true, true],
    ]);
  });
});

describe("heads", () => {
  const prototypes = (outDim: number) => new PrototypeLayer({ inDim: 4, outDim });

  it("are shared by name and spec: one set of weights, without a plugin's prefix", () => {
    const setup = declarations();
    const own = within("dino", () => setup.head("projection", prototypes(8)));
    const again = within("ibot", () => setup.head("projection", prototypes(8)));
    assert.equal(again, own);
    const names = [...setup.variables.keys()].filter((name) => !name.startsWith("backbone."));
    assert.deepEqual(names, ["projection.last_layer.weight_g", "projection.last_layer.weight_v"]);
  });

  it("of another spec under the same name are refused, naming both plugins", () => {
    const setup = declarations();
    within("dino", () => setup.head("projection", prototypes(8)));
    assert.throws(
      () => within("ibot", () => setup.head("projection", prototypes(16))),
      coded("HEAD_CONFLICT", '"dino"', '"ibot"', '"projection"', "8", "16"),
    );
  });

  it("may leave weights out of training and out of the teacher", () => {
    const setup = declarations();
    const module: HeadModule = {
      spec: {},
      parameters: () => [
        { name: "fixed", shape: [1], init: zeros, trainable: false },
        { name: "own", shape: [1], init: zeros, studentOnly: true },
      ],
      forward: (_, rows) => rows,
    };
    setup.head("h", module);
    const of = (name: string) => setup.parameters().find((p) => p.name === name)!;
    assert.deepEqual([of("h.fixed").trainable, of("h.fixed").ema], [false, true]);
    assert.deepEqual([of("h.own").trainable, of("h.own").ema], [true, false]);
  });
});

describe("gates", () => {
  it("open variables, and every weight of a head", () => {
    const setup = declarations();
    within("acme", () => {
      const open = setup.schedule("open", () => 1);
      const scale = setup.variable("scale", [1], zeros);
      const head = setup.head("h", new PrototypeLayer({ inDim: 4, outDim: 8 }));
      setup.gate([scale, head], open);
    });
    const gated = setup.parameters().filter((p) => p.gate?.name === "acme.open");
    assert.deepEqual(
      gated.map((p) => p.name),
      ["acme.scale", "h.last_layer.weight_g", "h.last_layer.weight_v"],
    );
  });

  it("refuse what is not a declared weight", () => {
    const setup = declarations();
    within("acme", () => {
      const open = setup.schedule("open", () => 1);
      const buffer = setup.buffer("queue", [1], zeros);
      for (const handle of [buffer, { name: "acme.nothing", shape: [] }, { name: "nohead" }]) {
        assert.throws(() => setup.gate([handle], open), coded("GATE_UNKNOWN", '"acme"', `"${handle.name}"`));
      }
    });
  });
});
