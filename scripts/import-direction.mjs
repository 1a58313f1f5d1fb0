/** An ESLint rule: relative imports go one way through the folders. */
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * For files of `in`, what of relata they may import. Patterns are matched with paths from the root; the first
 * entry that a file is in counts.
 */
const rules = [
  { in: /^core\/math\//, may: /^core\/math\//, because: "it runs in a browser too" },
  {
    in: /^core\/vit\//,
    may: /^core\/(math|vit)\/|^core\/(backbone|parameters)\.ts$/,
    because: "it runs in a browser too",
  },
  { in: /^core\//, may: /^core\//, because: "imports go cli -> registry -> plugins -> core" },
  {
    in: /^plugins\/(?<own>[^/]+)\//,
    may: /^core\/plugin\.ts$|^plugins\/(?<own>[^/]+)\//,
    because: "a plugin sees what one in another package would see: core/plugin.ts and its own folder",
  },
  {
    in: /^registry\//,
    may: /^(core|plugins|registry)\//,
    because: "imports go cli -> registry -> plugins -> core",
  },
  { in: /^cli\//, may: /^(core|registry|cli)\//, because: "plugins are reached through the registry" },
  { in: /^index\.ts$/, may: /^(core|registry)\//, because: "the library does not need the command line" },
  { in: /^(benchmarks|examples|templates)\//, may: /^(?!test\/)/, because: "only tests know of tests" },
];

function explain(file, imported) {
  for (const { in: place, may, because } of rules) {
    const from = place.exec(file);
    if (!from) continue;
    const to = may.exec(imported);
    const sameFolder = to?.groups?.own === undefined || to.groups.own === from.groups?.own;
    return to && sameFolder ? undefined : because;
  }
  return undefined;
}

const posix = (path) => relative(root, path).split(sep).join("/");

/** @type {import("eslint").Rule.RuleModule} */
export const importDirection = {
  meta: {
    type: "problem",
    schema: [],
    messages: { wrongWay: "{{file}} may not import {{imported}}: {{because}}" },
  },
  create(context) {
    const file = posix(context.filename);
    const check = ({ source }) => {
      if (typeof source?.value !== "string" || !source.value.startsWith(".")) return;
      const imported = posix(resolve(dirname(context.filename), source.value));
      const because = explain(file, imported);
      if (because) context.report({ node: source, messageId: "wrongWay", data: { file, imported, because } });
    };
    return {
      ImportDeclaration: check,
      ImportExpression: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
    };
  },
};
