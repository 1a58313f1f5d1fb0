/**
 * How files of the user and plugin packages are loaded. Runs in Node's loader, so it imports nothing of relata.
 *
 * - `relata` and `relata/…` are always the running relata, even where another copy is nearer or none is
 *   installed: two copies would have two tfjs engines.
 * - A .ts or .js file with import or export statements is an ES module, with or without a package.json that
 *   says so.
 * - `relata-from:<folder URL>#<package>` is a package as a file in that folder would import it.
 */
import { readFileSync } from "node:fs";

const FROM = "relata-from:";

/** The specifier of a package as seen from a folder; the URL ends with "/". */
export function packageFrom(folder: URL, name: string): string {
  return `${FROM}${folder.href}#${name}`;
}

interface Context {
  readonly parentURL?: string;
}
interface Resolved {
  readonly url: string;
  readonly format?: string | null;
}
type Next<R> = (specifier: string, context: Context) => R;

/** Node's resolve hook; `next` gives a promise in the loader thread and a value in the main one. */
export function resolve(
  specifier: string,
  context: Context,
  next: Next<Resolved | Promise<Resolved>>,
): Resolved | Promise<Resolved> {
  if (specifier.startsWith(FROM)) {
    const [folder = "", name = ""] = specifier.slice(FROM.length).split("#");
    return next(name, { ...context, parentURL: new URL("relata.config.js", folder).href });
  }
  if (specifier === "relata" || specifier.startsWith("relata/")) {
    return next(specifier, { ...context, parentURL: import.meta.url });
  }
  const resolved = next(specifier, context);
  return resolved instanceof Promise ? resolved.then(asModule) : asModule(resolved);
}

function asModule(resolved: Resolved): Resolved {
  if (resolved.format !== "commonjs" || resolved.url.includes("/node_modules/")) return resolved;
  // tsx in Node 20 marks TypeScript that it takes for CommonJS with queries, one of them escaped.
  const url = resolved.url.replace(/(\?|%3F).*$/, "");
  if (!/^file:.*\.[jt]s$/.test(url)) return resolved;
  const isModule = /^\s*(import|export)\b/m.test(readFileSync(new URL(url), "utf8"));
  return isModule ? { ...resolved, url, format: "module" } : resolved;
}
