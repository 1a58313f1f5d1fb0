import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { errors } from "../core/errors.ts";
import { documentedErrors, errorsPage, PAGE } from "../scripts/errors-page.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const all = documentedErrors();

/** The sources that raise errors, as one text. */
function sources(): string {
  const files = ["core", "plugins", "registry", "cli"].flatMap((folder) =>
    readdirSync(root + folder, { recursive: true, encoding: "utf8" }).map((file) => `${folder}/${file}`),
  );
  const code = files.filter((file) => file.endsWith(".ts") && file !== "core/errors.ts");
  return code.map((file) => readFileSync(root + file, "utf8")).join("\n");
}

describe("docs/errors.md", () => {
  it("is what `npm run docs:errors` makes of core/errors.ts", () => {
    const page = readFileSync(PAGE, "utf8");
    assert.ok(page === errorsPage(), "docs/errors.md is out of date: run `npm run docs:errors`");
  });

  it("has every error, in a section, with what stands for each argument", () => {
    assert.deepEqual(
      all.map(({ key }) => key),
      Object.keys(errors),
    );
    for (const { code, section, message, fix } of all) {
      assert.ok(section !== "", `${code} is in no section`);
      const text = `${message} ${fix}`;
      assert.doesNotMatch(text, /undefined|\[object|NaN/, code);
    }
  });

  it("says what the error says, and what is filled in", () => {
    const { section, message, fix } = all.find(({ code }) => code === "BLOCK_MISSING")!;
    assert.equal(section, "declarations");
    assert.equal(message, 'plugin "«plugin»" asks for block «block» of a backbone with «depth» blocks');
    assert.equal(fix, "use an index from «number» to «number»");
    assert.match(
      errorsPage(),
      /^### NOT_FINITE\n\n> step «step» is not finite .*\n\nFix: lower train\.lr.*\n\n- `Log`: the logarithm of 0/m,
    );
  });
});

describe("every error", () => {
  it("has a code of its own, in capitals", () => {
    const codes = all.map(({ code }) => code);
    assert.deepEqual(
      codes.filter((code, i) => codes.indexOf(code) !== i),
      [],
    );
    for (const code of codes) assert.match(code, /^[A-Z]+(_[A-Z]+)*$/);
  });

  it("is raised somewhere", () => {
    const code = sources();
    const dead = all.filter(({ key }) => !new RegExp(`errors\\s*\\.${key}\\b`).test(code));
    assert.deepEqual(
      dead.map(({ key }) => key),
      [],
    );
  });
});
