/** Writes docs/config.md, the list of all keys of a run's config: `npm run docs:config`. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describeOptions, type OptionDescription } from "../core/config/describe.ts";
import { runSchema } from "../core/config/schema.ts";

const INTRODUCTION = `# Config

Every key of a run, in YAML, JSON or TypeScript. **Required** are \`train.epochs\`, \`train.batchSize\` and \`plugins\`, and
\`data.path\` of an image-folder; all else may be left out. The smallest config:

\`\`\`yaml
data: { path: ./photos }
train: { epochs: 100, batchSize: 64 }
plugins: [multi-crop, dino]
\`\`\`

- \`train.lr\` is per 256 samples: the peak learning rate is \`lr * batchSize / 256\`, here 5e-4 * 64 / 256 = 1.25e-4.
  \`minLr\` is not scaled.
- \`train.maxSteps\` stops a run early, after so many updates. Schedules go on as if all \`epochs\` were to come: it is for
  trying out. For a shorter training that ends with a small learning rate, lower \`epochs\`.
- \`--set train.lr=1e-3\` changes a key on the command line, \`--set plugins.dino.outDim=4096\` a plugin's option.
- Paths start at the config's folder, also in \`--set data.path=…\`; \`--data FOLDER\` starts where you are.
- Options of plugins are on the [plugins' pages](../README.md#plugins).
- \`npx relata schema\` writes all this, with the plugins' options, as a JSON Schema for editors.

The page is made from the schema by \`npm run docs:config\`.
`;

/** What the schema cannot say for itself. */
const types: Readonly<Record<string, string>> = { plugins: "list of names or { use, with }" };
const defaults: Readonly<Record<string, string>> = { "data.workers": "1 or 2" };

/** The keys by section: those at the top first, under a name of their own. */
export function configPage(): string {
  const options = describeOptions(runSchema);
  const tables = [...new Set(options.map(sectionOf))].map((section) => {
    const own = options.filter((option) => sectionOf(option) === section);
    const rows = own.map(row).join("\n");
    return `## ${section}\n\n| key | type | default | |\n| --- | --- | --- | --- |\n${rows}\n`;
  });
  return [INTRODUCTION, ...tables].join("\n");
}

const sectionOf = ({ path }: OptionDescription) => (path.includes(".") ? path.split(".")[0]! : "The run");

function row({ path, type, required, default: value, description = "" }: OptionDescription): string {
  const known = defaults[path] ?? (value === undefined ? "" : `\`${JSON.stringify(value)}\``);
  const cells = [`\`${path}\``, types[path] ?? type, required ? "**required**" : known, description];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

export const PAGE = fileURLToPath(new URL("../docs/config.md", import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, configPage());
