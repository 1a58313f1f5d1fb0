/** What a run was made with and from: versions, the commit, the command. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** relata's own version. */
export function relataVersion(): string {
  return packageVersion("relata");
}

/** Versions of what computes, by name. */
export function versions(library: string): Record<string, string> {
  return {
    relata: relataVersion(),
    node: process.versions.node,
    // The CPU backend of tfjs names itself.
    ...(library.startsWith("tfjs") ? { backend: library } : { libtensorflow: library }),
    "tfjs-core": packageVersion("@tensorflow/tfjs-core"),
  };
}

function packageVersion(name: string): string {
  return (require(`${name}/package.json`) as { version: string }).version;
}

export interface Commit {
  /** Full hash. */
  readonly commit: string;
  /** Tracked files differ from it. */
  readonly dirty: boolean;
}

/** Of the working copy that a folder lies in; undefined where there is none, or no git. */
export function commitOf(folder: string): Commit | undefined {
  const git = (...args: string[]): string | undefined => {
    const answer = spawnSync("git", ["-C", folder, ...args], {
      encoding: "utf8",
      timeout: 5_000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return answer.status === 0 ? answer.stdout.trim() : undefined;
  };
  const commit = git("rev-parse", "--verify", "HEAD");
  if (!commit) return undefined;
  return { commit, dirty: git("status", "--porcelain", "--untracked-files=no") !== "" };
}

/** TensorFlow's "/job:localhost/replica:0/task:0/device:GPU:0" -> "GPU:0" */
export function deviceName(device: string): string {
  return device.replace(/^.*device:/, "");
}
