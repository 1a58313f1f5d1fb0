/** The docs say what is so: their code compiles and runs, their configs parse, their commands and links exist. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { CommanderError, type Command } from "commander";
import ts from "typescript";
import { makeProgram } from "../cli/program.ts";
import { Terminal } from "../cli/terminal.ts";
import { loadConfig } from "../core/config/load.ts";
import { parseConfig } from "../core/config/parse.ts";
import * as math from "../core/math/index.ts";
import * as api from "../core/plugin.ts";
import { at, globalViews, localViews, tinyBatch, tinyTraining } from "../core/testing/tiny-run.ts";
import { findPlugin } from "../registry/find.ts";
import { resolvePlugins } from "../registry/resolve.ts";
import { makeEngine } from "./support/engines.ts";
import { blocksOf, fileOf, pages, root, textOf, type Block } from "./support/pages.ts";
import { userProject } from "./support/user-project.ts";

const written = pages.filter((page) => !page.startsWith("plugins/"));
/** Read for what they tell, not for code and links. */
const otherPages = ["CHANGELOG.md", "templates/README.md", "test/fixtures/README.md"];
const blocks = written.flatMap(blocksOf);
const typescript = blocks.filter(({ language }) => language === "ts");
const placeOf = ({ page, line }: Block) => `${page}:${line}`;

/** Each page's files lie in a folder of their own. */
const folderOf = ({ page }: Block) => page.replace(/\W/g, "-");

/** Types that examples without imports use. */
const TYPES = ["MaskSpec", "Tensor", "Tensor2D"];
const isWhole = ({ code }: Block) => /^(import|export) /m.test(code);

/** An example that is a function's body, as a plugin of that function. */
function whole(block: Block): string {
  if (isWhole(block)) return block.code;
  const names = [...Object.keys(api), ...TYPES.map((name) => `type ${name}`)];
  return `import { ${names.join(", ")} } from "relata/plugin";
export default definePlugin(
  { name: "example-${block.line}", api: "^1", summary: "An example.", options: z.strictObject({}) },
  (hooks, { name }) => {
${block.code}
  },
);
`;
}

/** Lines in front of the code. */
const addedLines = (block: Block) => (isWhole(block) ? 0 : 4);

describe("the docs", () => {
  const project = userProject();
  const files = new Map(
    typescript.map((block) => {
      const name = block.file ?? `at-line-${block.line}.ts`;
      return [project.write(join(folderOf(block), name), whole(block)), block] as const;
    }),
  );

  it("have TypeScript that compiles", function () {
    this.timeout(120_000);
    const { options } = ts.parseJsonConfigFileContent(
      ts.readConfigFile(`${root}tsconfig.json`, (file) => ts.sys.readFile(file)).config,
      ts.sys,
      root,
    );
    const program = ts.createProgram([...files.keys()], {
      ...options,
      incremental: false,
      tsBuildInfoFile: undefined,
      typeRoots: [join(project.path, "node_modules/@types")],
    });
    const problems = [...files].flatMap(([file, block]) => {
      const source = program.getSourceFile(file);
      return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
        ({ start = 0, messageText }) => {
          const line = source!.getLineAndCharacterOfPosition(start).line - addedLines(block);
          return `${block.page}:${block.line + line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
        },
      );
    });
    assert.deepEqual(problems, []);
    assert.ok(files.size > 20, `only ${files.size} blocks of TypeScript were found`);
  });

  it("have examples of hooks that train together, captured, in every phase", async function () {
    this.timeout(120_000);
    const examples = [...files].filter(([, { page }]) => page === "docs/hooks.md");
    const engine = await makeEngine("captured");
    try {
      const plugins = await Promise.all(
        examples.map(async ([file]) => ((await findPlugin(file, project.path)) as api.PluginDefinition)({})),
      );
      const training = await tinyTraining(engine, plugins, { views: [globalViews, localViews] });
      const { hooks } = training;
      for (const step of [0, 1, 6]) {
        const { finite, scalars } = await training.step("train", tinyBatch(training, step), at(step));
        const bad = Object.keys(scalars).filter((name) => !Number.isFinite(scalars[name]));
        assert.ok(finite && bad.length === 0, `step ${step} is not finite: ${bad.join(", ")}`);
        hooks.afterStep.call({ ...at(step), scalars, imagesPerSecond: 1 });
      }
      training.verify();
      const logged: string[] = [];
      const context = { ...at(7), last: true, log: (name: string) => void logged.push(name) };
      await hooks.afterEpoch.promise(context);
      await hooks.done.promise(context);
      assert.deepEqual(
        logged.map((name) => name.split("/")[1]),
        ["largestGradNorm", "steps"],
      );
      const unused = Object.entries(hooks).flatMap(([name, hook]) => (hook.isUsed() ? [] : [name]));
      assert.deepEqual(unused, [], "hooks without an example");
    } finally {
      engine.close();
    }
  });

  it("show the example of the README as it is", () => {
    const shown = fileOf("README.md", "cosine-relation.ts");
    const example = textOf("examples/cosine-relation.ts");
    assert.ok(example.endsWith(`\n${shown}`), "it differs from examples/cosine-relation.ts");
  });

  for (const block of blocks.filter(({ language }) => language === "yaml")) {
    it(`have a config that parses at ${placeOf(block)}`, async () => {
      const path = project.write(join(folderOf(block), block.file ?? "config.yaml"), block.code);
      const folder = dirname(path);
      const { config } = await loadConfig(path);
      const run = parseConfig(config, folder);
      const isThere = (entry: (typeof run.plugins)[number]) =>
        "use" in entry && !(entry.use.startsWith(folder) && !existsSync(entry.use));
      const plugins = run.plugins.filter(isThere);
      assert.equal((await resolvePlugins(plugins, folder)).length, plugins.length);
      assert.ok(plugins.length >= run.plugins.length - 1, "plugins of which there is no file");
    });
  }

  it("name commands and options that exist", () => {
    const problems = [...pages, ...recipes()].flatMap((page) =>
      commandsIn(textOf(page)).flatMap(({ argv, complete }) => {
        const problem = problemOf(argv, complete);
        return problem === undefined ? [] : [`${page}: relata ${argv.join(" ")}: ${problem}`];
      }),
    );
    assert.deepEqual(problems, []);
    assert.ok(pages.flatMap((page) => commandsIn(textOf(page))).length > 25, "commands are not found");
  });

  it("list each function of core/math with its arguments", () => {
    const page = textOf("docs/hooks.md");
    const functions = Object.entries(math) as [string, (...args: never[]) => unknown][];
    const missing = functions.filter(([name]) => !page.includes(`\`${name}`));
    assert.deepEqual(missing, [], "functions that docs/hooks.md does not list");
    const listed = Array.from(page.matchAll(/^\| `(\w+)\(([^)]*)\)`/gm), ([, name = "", given = ""]) => {
      const own = functions.find((one) => one[0] === name)?.[1];
      return own ? [{ name, own, given: given.split(", ").map((one) => one.replace("?", "")) }] : [];
    }).flat();
    for (const { name, own, given } of listed) {
      const all = /\(([^)]*)/.exec(own.toString())![1]!.split(/,\s*/);
      // Those without a default, up to the first that is taken apart.
      const required = all.slice(0, own.length);
      const apart = required.findIndex((one) => !/^\w+$/.test(one));
      const named = apart === -1 ? required : required.slice(0, apart);
      assert.deepEqual(given.slice(0, named.length), named, name);
    }
    assert.ok(listed.length > 20, `only ${listed.length} functions are listed`);
  });

  it("name npm scripts that exist", () => {
    const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Record<string, string> };
    const named = pages.flatMap((page) =>
      Array.from(textOf(page).matchAll(/\bnpm run (?:-s )?([\w:]+)/g), ([, script]) => script!),
    );
    assert.deepEqual(
      named.filter((script) => !(script in scripts)),
      [],
    );
    assert.ok(named.length > 3, "scripts are not found");
  });

  it("have no marks of what is still to be filled in", () => {
    const unfinished = [...pages, ...otherPages].flatMap((page) =>
      Array.from(
        textOf(page).matchAll(/@[A-Z0-9]*@|(?<=\s)@(?=\s)|\bTODO\b/g),
        ([mark]) => `${page}: ${mark}`,
      ),
    );
    assert.deepEqual(unfinished, []);
  });

  it("have links that lead somewhere", () => {
    const problems = pages.flatMap((page) => {
      const links = textOf(page).matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g);
      return Array.from(links).flatMap(([, path = "", anchor]) => {
        const target = path === "" ? page : join(dirname(page), path);
        if (!existsSync(root + target)) return [`${page}: ${path}`];
        const there = anchor === undefined || anchorsOf(textOf(target)).includes(anchor);
        return there ? [] : [`${page}: ${path}#${anchor}`];
      });
    });
    assert.deepEqual(problems, []);
  });
});

const recipes = () => readdirSync(`${root}benchmarks/recipes`).map((file) => `benchmarks/recipes/${file}`);

interface NamedCommand {
  /** After `relata`. */
  readonly argv: readonly string[];
  /** It stands as it is typed; of one in a sentence arguments may be left out. */
  readonly complete: boolean;
}

function commandsIn(text: string): NamedCommand[] {
  const typed = Array.from(text.matchAll(/^.*npx (relata [^;`\n]*)/gm), ([, command]) => command!);
  const inSentences = Array.from(text.matchAll(/`(?:npx )?(relata [^`\n]+)`/g), ([, command]) => command!);
  const argvOf = (command: string) =>
    command
      .replace(/\s#.*|, and .*|\\$/g, "")
      .trim()
      .split(/\s+/)
      .slice(1)
      .filter((word) => word !== "…");
  return [
    ...typed.map((command) => ({ argv: argvOf(command), complete: true })),
    ...inSentences.map((command) => ({ argv: argvOf(command), complete: false })),
  ];
}

/** What the command line would refuse; nothing is run. */
function problemOf(argv: readonly string[], complete: boolean): string | undefined {
  const program = makeProgram({ terminal: new Terminal({ write: () => true }, {}), argv, exitCode: 0 });
  const commands = (command: Command): Command[] => [command, ...command.commands.flatMap(commands)];
  for (const command of commands(program).slice(1)) command.action(() => undefined);
  try {
    program.parse(argv, { from: "user" });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return !complete && error.code === "commander.missingArgument" ? undefined : error.message;
  }
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  return Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-"),
  );
}
