import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { writeJsonAtomic } from "../../../core/run/atomic-file.ts";
import { RunFolder, type RunFile } from "../../../core/run/folder.ts";
import { coded } from "../trainer/tiny.ts";

describe("run folder", () => {
  let top: string;
  let parent: string;
  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), "relata-folder-"));
    parent = join(top, "runs");
    mkdirSync(parent);
  });
  afterEach(() => rmSync(top, { recursive: true }));

  const now = new Date(2026, 0, 31, 9, 5, 1);
  const create = (name = "SERE (small)") => RunFolder.create({ name, parent, now });

  it("is named after the run and the time, and never an existing one", () => {
    const names = [create(), create(), create()].map(({ name }) => name);
    assert.deepEqual(names, [
      "sere-small-2026-01-31-090501",
      "sere-small-2026-01-31-090501-2",
      "sere-small-2026-01-31-090501-3",
    ]);
    assert.match(create("★").name, /^run-2026/);
    assert.deepEqual(readdirSync(create().path), []);
  });

  it("is made where --out says, unless something is there", () => {
    const out = join(parent, "deep", "run");
    assert.equal(RunFolder.create({ name: "x", out }).path, out);
    assert.equal(RunFolder.create({ name: "x", out }).path, out, "an empty folder is taken");
    writeFileSync(join(out, "notes.txt"), "mine");
    assert.throws(() => RunFolder.create({ name: "x", out }), { code: "RUN_FOLDER_EXISTS" });
    assert.equal(readFileSync(join(out, "notes.txt"), "utf8"), "mine");
  });

  it("says that it cannot be written, before anything is trained", () => {
    const file = join(parent, "file");
    writeFileSync(file, "");
    assert.throws(() => RunFolder.create({ name: "x", out: join(file, "run") }), {
      code: "RUN_FOLDER_NOT_WRITABLE",
    });
    assert.throws(() => RunFolder.create({ name: "x", parent: file }), { code: "RUN_FOLDER_NOT_WRITABLE" });
  });

  it("says that the disk is too small", () => {
    const folder = create();
    const { bavail, bsize } = statfsSync(parent);
    folder.requireSpace(1);
    assert.throws(() => folder.requireSpace(2 * bavail * bsize), { code: "RUN_DISK_FULL" });
    for (const code of ["ENOSPC", "EDQUOT", "EFBIG"])
      assert.ok(coded("RUN_DISK_FULL")(folder.explain(Object.assign(new Error(), { code }))), code);
    const elsewhere = Object.assign(new Error(), { code: "EACCES", path: join(top, "photos", "a.png") });
    assert.equal(folder.explain(elsewhere), elsewhere);
    const inside = Object.assign(new Error(), { code: "EACCES", path: join(folder.path, "run.json") });
    assert.equal((folder.explain(inside) as { code: string }).code, "RUN_FOLDER_NOT_WRITABLE");
    const other = new Error("other");
    assert.equal(folder.explain(other), other);
  });

  it("opens a run, and names those that are there for one that is not", () => {
    const folder = create();
    folder.writeConfig({ seed: 3 });
    assert.deepEqual(RunFolder.open(folder.path).readConfig(), { seed: 3 });
    const expected = { code: "RUN_MISSING", message: /there are sere-small-2026-01-31-090501$/ };
    assert.throws(() => RunFolder.open(parent), expected);
    assert.throws(() => RunFolder.open(join(parent, "typo")), expected);
    assert.throws(() => RunFolder.open(join(parent, "no", "where")), {
      code: "RUN_MISSING",
      message: /where$/,
    });
  });

  it("reads what it wrote, and names a damaged file", () => {
    const folder = create();
    assert.equal(folder.readRun(), undefined);
    assert.equal(folder.readEvaluation(), undefined);
    folder.writeEvaluation([]);
    assert.deepEqual(folder.readEvaluation(), []);
    writeFileSync(folder.runFile, "{");
    assert.throws(() => folder.readRun(), { code: "RUN_FILE_DAMAGED", message: /run\.json/ });
  });

  it("knows whether its process is alive", () => {
    const folder = create();
    const write = (run: Partial<RunFile>) => folder.writeRun(run as RunFile);
    const host = hostname();
    write({ status: "running", process: { pid: process.ppid, host } });
    assert.equal(folder.writer, "alive");
    // No process has a number this large.
    write({ status: "running", process: { pid: 2 ** 30, host } });
    assert.equal(folder.writer, "dead");
    write({ status: "running", process: { pid: process.ppid, host: `not-${host}` } });
    assert.equal(folder.writer, "on another machine");
    write({ status: "stopped" });
    assert.equal(folder.writer, undefined);
  });

  it("replaces files as a whole: a write that fails leaves the old one", () => {
    const path = join(parent, "a.json");
    writeJsonAtomic(path, { old: true });
    const circular: { self?: object } = {};
    circular.self = circular;
    assert.throws(() => writeJsonAtomic(path, circular));
    assert.deepEqual(JSON.parse(readFileSync(path, "utf8")), { old: true });
    mkdirSync(join(parent, "b.json"));
    assert.throws(() => writeJsonAtomic(join(parent, "b.json"), {}));
    assert.deepEqual(readdirSync(parent), ["a.json", "b.json"]);
  });

  it("is removed with what is in it", () => {
    const folder = create();
    folder.writeConfig({});
    folder.remove();
    assert.ok(!existsSync(folder.path));
  });
});
