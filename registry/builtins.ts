import type { PluginDefinition } from "../core/plugin.ts";

/** The plugins that come with relata, loaded when they are used. A new one is one line here. */
export const builtins: Readonly<Record<string, () => Promise<{ readonly default: unknown }>>> = {
  "multi-crop": () => import("../plugins/multi-crop/index.ts"),
  dino: () => import("../plugins/dino/index.ts"),
  ibot: () => import("../plugins/ibot/index.ts"),
  "pixel-relation": () => import("../plugins/pixel-relation/index.ts"),
  "channel-relation": () => import("../plugins/channel-relation/index.ts"),
  "patch-kernel-alignment": () => import("../plugins/patch-kernel-alignment/index.ts"),
  simclr: () => import("../plugins/simclr/index.ts"),
  byol: () => import("../plugins/byol/index.ts"),
  koleo: () => import("../plugins/koleo/index.ts"),
  mae: () => import("../plugins/mae/index.ts"),
  "sinkhorn-knopp": () => import("../plugins/sinkhorn-knopp/index.ts"),
  "online-probe": () => import("../plugins/online-probe/index.ts"),
  data2vec: () => import("../plugins/data2vec/index.ts"),
  gram: () => import("../plugins/gram/index.ts"),
  supervised: () => import("../plugins/supervised/index.ts"),
  "layer-decay": () => import("../plugins/layer-decay/index.ts"),
  lion: () => import("../plugins/lion/index.ts"),
  convnext: () => import("../plugins/convnext/index.ts"),
};

/** All of them, loaded. */
export async function builtinPlugins(): Promise<PluginDefinition[]> {
  const modules = await Promise.all(Object.values(builtins).map((load) => load()));
  return modules.map((module) => module.default as PluginDefinition);
}
