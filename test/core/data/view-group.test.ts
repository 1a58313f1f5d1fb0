import assert from "node:assert/strict";
import { resolveViewGroups, type ViewGroupSpec } from "../../../core/data/view-group.ts";

const global: ViewGroupSpec = {
  group: "global",
  count: 2,
  size: 64,
  scale: [0.4, 1],
  ratio: [3 / 4, 4 / 3],
  flip: 0.5,
};

describe("resolveViewGroups", () => {
  it("lets a group draw its own crops, or take another's through a chain", () => {
    const small = { ...global, group: "small", size: 32, sameCropAs: "global" };
    const tiny = { ...global, group: "tiny", size: 16, sameCropAs: "small" };
    const resolved = resolveViewGroups([tiny, global, small]);
    assert.deepEqual(
      resolved.map(({ group, size, cropsOf }) => [group, size, cropsOf.group]),
      [
        ["tiny", 16, "global"],
        ["global", 64, "global"],
        ["small", 32, "global"],
      ],
    );
  });

  const refused: [string, ViewGroupSpec[], RegExp][] = [
    ["nothing", [], /no view/],
    ["a name twice", [global, { ...global }], /"global".*twice/],
    ["a count of 0", [{ ...global, count: 0 }], /count is 0/],
    ["half a pixel", [{ ...global, size: 0.5 }], /size is 0.5/],
    ["more than the image", [{ ...global, scale: [0.5, 1.2] }], /scale is/],
    ["nothing of the image", [{ ...global, scale: [0, 1] }], /scale is/],
    ["a turned range", [{ ...global, scale: [0.8, 0.2] }], /scale is/],
    ["a ratio of 0", [{ ...global, ratio: [0, 1] }], /ratio is/],
    ["an endless ratio", [{ ...global, ratio: [1, Infinity] }], /ratio is/],
    ["a probability of 2", [{ ...global, flip: 2 }], /flip is 2/],
    ["a probability that is no number", [{ ...global, flip: NaN }], /flip is NaN/],
    ["an unknown source", [{ ...global, sameCropAs: "locl" }], /"locl", which does not exist/],
    ["itself as its source", [{ ...global, sameCropAs: "global" }], /circle/],
    [
      "a circle",
      [
        { ...global, sameCropAs: "b" },
        { ...global, group: "b", sameCropAs: "global" },
      ],
      /circle/,
    ],
    ["another count", [global, { ...global, group: "b", count: 3, sameCropAs: "global" }], /has 3 views/],
  ];
  for (const [what, specs, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => resolveViewGroups(specs), { code: "VIEW_GROUP_INVALID", message });
    });
  }
});
