import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Call in a `describe`: a folder for each of its tests, removed afterwards. */
export function temporaryFolder(): () => string {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "relata-trainer-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  return () => folder;
}
