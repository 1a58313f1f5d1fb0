/** The entry of a data worker's thread. */
import { move, transferableSymbol, valueSymbol } from "piscina";
import { DecodeCache } from "./decode-cache.ts";
import { render, type RenderTask } from "./render.ts";

// A worker serves one pipeline, whose settings never change.
let cache: DecodeCache | undefined;

export default async function work(task: RenderTask): Promise<unknown> {
  cache ??= DecodeCache.of(task.settings);
  const rendered = await render(task, cache);
  const buffers = [...rendered.pixels, ...rendered.rects].map((array) => array.buffer);
  return move({ [transferableSymbol]: buffers, [valueSymbol]: rendered });
}
