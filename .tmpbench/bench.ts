import { parseConfig } from "../core/config/parse.ts";
import { silentLogger } from "../core/logger.ts";
import { assemble, firstBatch } from "../core/trainer/assemble.ts";
import { resolvePlugins } from "../registry/resolve.ts";
const views = { use: "multi-crop", with: { globalCrops: { count: 1, size: 224, scale: [0.08, 1] }, localCrops: { count: 0 }, colour: { firstGlobal: { jitter: { p: 0 }, grayscale: { p: 0 }, blur: { p: 0 } } } } };
const variants: Record<string, object[]> = {
  plain: [{ use: "supervised", with: {} }],
  decay: [{ use: "supervised", with: {} }, { use: "layer-decay", with: {} }],
  mix: [{ use: "supervised", with: { mixup: 0.8, cutmix: 1 } }],
};
const opened = [];
for (const [name, plugins] of Object.entries(variants)) {
  const config = parseConfig({ data: { dataset: "emoji" , workers: 0 }, backbone: { arch: process.argv[2] ?? "vit-tiny", patchSize: 16, dropPathRate: 0.1 }, train: { epochs: 10, batchSize: 8 }, plugins: [views, ...plugins] }, process.cwd());
  const a = await assemble(config, await resolvePlugins(config.plugins, process.cwd()), { baseDir: process.cwd(), checkpoints: "x", logger: silentLogger });
  await a.training.initialize();
  const batch = await firstBatch(a);
  const feeds = a.training.feeds(batch, { step: 300, epoch: 3 });
  const program = await a.training.program("train", 3, feeds);
  opened.push({ name, run: () => program.run(feeds) });
}
const times: number[][] = opened.map(() => []);
const rounds = Number(process.argv[3] ?? 15);
for (let r = -3; r < rounds; r++) for (const i of [0, 1, 2].map((i) => (i + r + 30) % 3)) {
  const t = performance.now(); await opened[i]!.run(); const s = performance.now() - t;
  if (r >= 0) times[i]!.push(s);
}
const med = (x: number[]) => [...x].sort((a, b) => a - b)[x.length >> 1]!;
opened.forEach(({ name }, i) => console.log(name, "median ms", med(times[i]!).toFixed(1), "ratio to plain", med(times[i]!.map((t, r) => t / times[0]![r]!)).toFixed(3)));
process.exit(0);
