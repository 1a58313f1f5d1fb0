/** Types of plugins, their options and hooks: what must compile and what must not. Checked by `tsc`, never run. */
import {
  BACKBONE,
  definePlugin,
  tf,
  z,
  type Backbone,
  type Hooks,
  type PluginUse,
} from "../../core/plugin.ts";
import { PluginTester } from "../../core/testing/plugin-tester.ts";
import { ConvNext } from "../../plugins/convnext/convnext.ts";
import convnext from "../../plugins/convnext/index.ts";
import byol from "../../plugins/byol/index.ts";
import channelRelation from "../../plugins/channel-relation/index.ts";
import data2vec from "../../plugins/data2vec/index.ts";
import dino from "../../plugins/dino/index.ts";
import gram from "../../plugins/gram/index.ts";
import ibot from "../../plugins/ibot/index.ts";
import koleo from "../../plugins/koleo/index.ts";
import layerDecay from "../../plugins/layer-decay/index.ts";
import lion from "../../plugins/lion/index.ts";
import mae from "../../plugins/mae/index.ts";
import multiCrop from "../../plugins/multi-crop/index.ts";
import onlineProbe from "../../plugins/online-probe/index.ts";
import patchKernelAlignment from "../../plugins/patch-kernel-alignment/index.ts";
import pixelRelation from "../../plugins/pixel-relation/index.ts";
import simclr from "../../plugins/simclr/index.ts";
import supervised from "../../plugins/supervised/index.ts";
import sinkhornKnopp from "../../plugins/sinkhorn-knopp/index.ts";

const own = definePlugin(
  {
    name: "own",
    api: "^1",
    summary: "",
    options: z.strictObject({
      weight: z.number().default(1),
      mode: z.enum(["a", "b"]),
      from: z.string().optional(),
    }),
  },
  (hooks, { name, options }) => {
    // Options have their defaults here.
    const { weight, mode, from }: { weight: number; mode: "a" | "b"; from?: string } = options;
    hooks.loss.tap(name, (losses, { labels }) => losses.add(mode, weight, labels));
    // @ts-expect-error -- it may be left out
    const required: string = from;
    // @ts-expect-error -- there is no such option
    void options.weigth;
    void required;
  },
);

const uses: PluginUse[] = [
  own({ mode: "a" }),
  own({ mode: "b", weight: 2 }),
  dino(),
  dino({ weight: 1.65, outDim: 8192 }),
  convnext({ arch: "tiny", dropPathRate: 0.1 }),
  convnext({ depths: [1, 2], dims: [8, 16] }),
  multiCrop({ localCrops: { count: 10, scale: [0.05, 0.4] } }),
  byol({ hiddenDim: 512 }),
  channelRelation({ divisor: { global: 14, local: 6 } }),
  data2vec({ maskShape: "random" }),
  gram({ startEpoch: 2 }),
  ibot({ maskRatio: 0.3, share: "mlp" }),
  koleo({ weight: 0.2 }),
  layerDecay({ decay: 0.65 }),
  supervised({ mixup: 0.8, cutmix: 1 }),
  lion({ beta1: 0.95 }),
  mae({ normPixLoss: false }),
  onlineProbe({ features: "cls+mean" }),
  patchKernelAlignment({ overlapSide: { local: 5 } }),
  pixelRelation({ disjoint: "skip" }),
  simclr({ temperature: 0.5 }),
  sinkhornKnopp({ iterations: 1 }),
];

// @ts-expect-error -- an option's name
own({ mode: "a", weigth: 2 });
// @ts-expect-error -- an option's type
own({ mode: "a", weight: "2" });
// @ts-expect-error -- a choice
own({ mode: "c" });
// @ts-expect-error -- an option without a default is left out
own({ weight: 2 });
// @ts-expect-error -- an option's name, of a plugin of relata
dino({ weigth: 1 });
// @ts-expect-error -- an option's type, of a plugin of relata
dino({ outDim: "many" });
// @ts-expect-error -- a choice, of a plugin of relata
convnext({ arch: "huge" });
// @ts-expect-error -- a width is a number
byol({ hiddenDim: "512" });
// @ts-expect-error -- a part of an object is left out
channelRelation({ divisor: { global: 14 } });
// @ts-expect-error -- a choice
data2vec({ maskShape: "rows" });
// @ts-expect-error -- an epoch is a number
gram({ startEpoch: "half" });
// @ts-expect-error -- a choice
ibot({ share: "all" });
// @ts-expect-error -- an option's name
koleo({ weigth: 0.2 });
// @ts-expect-error -- an option's name
supervised({ mixUp: 0.8 });
// @ts-expect-error -- a number
layerDecay({ decay: "0.65" });
// @ts-expect-error -- an option's name
lion({ betas: [0.9, 0.99] });
// @ts-expect-error -- a switch
mae({ normPixLoss: 1 });
// @ts-expect-error -- a choice
onlineProbe({ features: "patches" });
// @ts-expect-error -- one number where two are named
patchKernelAlignment({ overlapSide: 7 });
// @ts-expect-error -- a choice
pixelRelation({ disjoint: true });
// @ts-expect-error -- an option's name
simclr({ temp: 0.5 });
// @ts-expect-error -- a count is a number
sinkhornKnopp({ iterations: [1, 2] });
// @ts-expect-error -- a name in a nested object
multiCrop({ localCrops: { cuont: 1 } });
// @ts-expect-error -- a plugin is not a use of it
const notCalled: PluginUse = dino;

definePlugin(
  // @ts-expect-error -- another version of the contract
  { name: "old", api: "^0", summary: "", options: z.strictObject({}) },
  () => {},
);
definePlugin(
  // @ts-expect-error -- the options are a schema
  { name: "bare", api: "^1", summary: "", options: { weight: 1 } },
  () => {},
);

declare const hooks: Hooks;
hooks.embed.tap("a", (patchTokens) => tf.mul(patchTokens, 2));
hooks.setup.tapPromise("a", async (setup) => void setup.network("teacher"));
// @ts-expect-error -- a waterfall passes its value on
hooks.embed.tap("a", () => {});
// @ts-expect-error -- ops are functions: tf.mul(patchTokens, 2)
hooks.embed.tap("a", (patchTokens) => patchTokens.mul(2));
// @ts-expect-error -- a value of another rank
hooks.embed.tap("a", () => tf.scalar(1));
// @ts-expect-error -- a synchronous hook waits for nobody
export type NoTapPromise = Hooks["loss"]["tapPromise"];
// @ts-expect-error -- only relata calls a network by a new name without saying what it follows
hooks.setup.tap("a", (setup) => void setup.network("momentum"));
// @ts-expect-error -- sinks are written, not read
hooks.loss.tap("a", (losses) => void losses.total);
// @ts-expect-error -- hooks are not replaced
hooks.loss = hooks.relation;

const network = new ConvNext({ channels: 3, depths: [1], dims: [8], dropPathRate: 0, layerScale: 1 });
const backbone: Backbone = network;
definePlugin({ name: "own", api: "^1", summary: "", options: z.strictObject({}) }, () => ({
  services: (container) => void container.bind(BACKBONE, () => network),
}));
definePlugin({ name: "own", api: "^1", summary: "", options: z.strictObject({}) }, () => ({
  // @ts-expect-error -- a backbone tells its grid
  services: (container) => void container.bind(BACKBONE, () => ({ ...network, grid: undefined })),
}));

export { backbone, notCalled, uses };

PluginTester.run(own, {
  valid: [{ mode: "a" }, { mode: "b", weight: 2 }],
  invalid: [{ options: {}, path: "mode" }],
});
// @ts-expect-error -- an option that is valid has a name that there is
PluginTester.run(own, { valid: [{ mode: "a", weigth: 2 }], invalid: [] });
// @ts-expect-error -- and all that is required
PluginTester.run(own, { valid: [{}], invalid: [] });
