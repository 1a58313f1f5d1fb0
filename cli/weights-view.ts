/** What became of the tensors of a file of weights, in a few lines. */
import type { WeightsOrigin } from "../core/trainer/initial-weights.ts";
import { listed, shapesText, skippedText, type WeightsMatch } from "../core/weights/match.ts";
import { theme } from "./theme.ts";

/** Of a run's start: networks of which the same is to be said share their lines. */
export function originLines({ label, networks, skipped }: WeightsOrigin): string[] {
  const groups = new Map<string, { readonly names: string[]; readonly lines: readonly string[] }>();
  for (const origin of networks) {
    const from = origin.from === "network" ? "" : `the ${origin.from} of `;
    const lines = [`from ${from}${label}: ${keptText(origin.kept, origin)}`, ...leftLines(origin)];
    const group = groups.get(lines.join("\n")) ?? { names: [], lines };
    group.names.push(origin.network);
    groups.set(lines.join("\n"), group);
  }
  const lines = [...groups.values()].flatMap(({ names, lines: [first, ...more] }) => [
    `${names.join(" and ")} ${first}`,
    ...more,
  ]);
  return [...lines, ...listed("of types that are not read", skipped.map(skippedText)).map(theme.warning)];
}

/** "152 weights; the position embedding resized from 14 x 14 to 6 x 6 patches" */
export function keptText(kept: number, { resized }: Pick<WeightsMatch, "resized">): string {
  const grids = resized.map(
    ({ from, to }) => `; the position embedding resized from ${from} x ${from} to ${to} x ${to} patches`,
  );
  return `${kept + resized.length} weights${grids.join("")}`;
}

/** What did not fit; nothing is left out silently. */
export function leftLines({
  missing,
  ofAnotherShape,
  unexpected,
}: Omit<WeightsMatch, "kept" | "resized">): string[] {
  return [
    ...listed("missing, so they stay as they were", missing).map((line) => theme.warning(`  ${line}`)),
    ...listed("of another shape, so they stay as they were", ofAnotherShape.map(shapesText)).map((line) =>
      theme.warning(`  ${line}`),
    ),
    ...listed("not used", unexpected).map((line) => theme.quiet(`  ${line}`)),
  ];
}
