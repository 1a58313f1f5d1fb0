#!/usr/bin/env node
/**
 * Starts the CLI: the compiled one, or in a checkout the sources through tsx.
 * CommonJS, because Node's thread pool, whose size is set here, starts when a first module is imported.
 */
"use strict";
const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const { availableParallelism, constants } = require("node:os");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");

// One thread waits for TensorFlow while others decode images; Node's own default is 4.
process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, availableParallelism() + 1));

const source = join(__dirname, "../cli/main.ts");
if (existsSync(source)) startFromSource();
else void import("../dist/cli/main.js");

/** The child has this process's terminal, signals and exit code. */
function startFromSource() {
  const tsx = pathToFileURL(require.resolve("tsx")).href;
  const child = spawn(
    process.execPath,
    [...process.execArgv, "--import", tsx, "--conditions=relata-source", source, ...process.argv.slice(2)],
    { stdio: "inherit" },
  );
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  // From a terminal the child gets Ctrl-C twice, as from npm; it takes both for one.
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`relata could not be started: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
