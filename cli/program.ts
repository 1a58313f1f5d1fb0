/** The commands. What a command needs is loaded when it runs, so that help is there at once. */
import { Command, CommanderError } from "commander";
import { errors } from "../core/errors.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { embedCommand } from "./commands/embed.ts";
import { evalCommand } from "./commands/eval.ts";
import { exportCommand } from "./commands/export.ts";
import { finetuneCommand } from "./commands/finetune.ts";
import { newPluginCommand } from "./commands/new-plugin.ts";
import { previewCommand } from "./commands/preview.ts";
import { profileCommand } from "./commands/profile.ts";
import { replayCommand } from "./commands/replay.ts";
import { runsCommand } from "./commands/runs.ts";
import { schemaCommand } from "./commands/schema.ts";
import { setupCommand } from "./commands/setup.ts";
import { startCommand } from "./commands/start.ts";
import { trainCommand } from "./commands/train.ts";
import type { CliContext } from "./context.ts";
import { describeError, exitCodeOf } from "./failure.ts";
import { Terminal } from "./terminal.ts";
import { theme } from "./theme.ts";
import { relataVersion } from "../core/run/provenance.ts";

/** Runs a command line, given without the program's name. Tells errors on standard error; gives the exit code. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const context: CliContext = { terminal: new Terminal(), argv, exitCode: 0 };
  const program = makeProgram(context);
  try {
    if (argv.length === 0) program.help();
    await program.parseAsync(passedOn(argv, program), { from: "user" });
    return context.exitCode;
  } catch (error) {
    context.terminal.clear();
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // help and version
    const told = error instanceof CommanderError ? usageError(error, argv, program) : error;
    process.stderr.write(`${describeError(told, { verbose: argv.includes("--verbose") })}\n`);
    return exitCodeOf(told);
  }
}

export function makeProgram(context: CliContext): Command {
  const program = new Command("relata")
    .description("Pre-trains vision transformers without labels.")
    .version(relataVersion(), "-V, --version", "print relata's version")
    .option("--verbose", "with an error, print where it happened")
    .configureHelp({
      styleTitle: theme.heading,
      styleCommandText: theme.accent,
      styleOptionTerm: theme.accent,
    })
    .helpCommand(false);
  const commands = [
    startCommand,
    trainCommand,
    previewCommand,
    profileCommand,
    evalCommand,
    exportCommand,
    embedCommand,
    replayCommand,
    finetuneCommand,
    runsCommand,
    newPluginCommand,
    schemaCommand,
    doctorCommand,
    setupCommand,
  ];
  for (const make of commands) program.addCommand(make(context));
  for (const command of withSubcommands(program)) {
    // Errors are told by runCli, in its way.
    command
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .copyInheritedSettings(program);
  }
  return program;
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** `npm start` runs `relata start`, and `npm start -- train x` therefore `relata start train x`. */
function passedOn([first = "", ...rest]: readonly string[], program: Command): string[] {
  const other = program.commands.some((command) => command.name() === rest[0]);
  const option = /^(-V|--version|-h|--help)$/.test(rest[0] ?? "");
  return first === "start" && (other || option) ? rest : [first, ...rest];
}

function usageError(error: CommanderError, argv: readonly string[], program: Command): Error {
  const message = error.message.replace(/^error: /, "").replace(/\n\((.*)\)$/, ". $1");
  const command = program.commands.find((known) => argv.includes(known.name()))?.name();
  return errors.usage(message, `see \`relata ${command ? `${command} ` : ""}--help\``);
}
