/**
 * The command lines of programs: options, usage, and errors, in one form for all.
 *
 * @module
 */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { RunnelError } from "./errors.ts";
import { findNearest } from "./nearest.ts";

/** Error in the arguments of a program. It is printed with the usage, and without a stack. */
export class UsageError extends Error {}

/** The options of a program, as `parseArgs` takes them. */
export type CommandOptions = NonNullable<ParseArgsConfig["options"]>;

/** The arguments of a program, as `parseArgs` returns them. */
export type Arguments<Options extends CommandOptions> = ReturnType<
  typeof parseArgs<{ args: string[]; options: Options; allowPositionals: true }>
>;

/** Description of a program. */
export interface Command<Options extends CommandOptions> {
  /** Usage, which `--help` prints. */
  usage: string;
  /** Its options. */
  options: Options;
  /** Beginning of the errors in what it needs to start, such as `Cannot sign`. */
  failure?: string;
  /** Whether it takes arguments without a name, such as files. @default {false} */
  allowPositionals?: boolean;
}

/**
 * Reads the arguments of a program, and runs it. `--help` or `-h` prints the
 * usage instead. After an error that its user can mend, the exit code is 1.
 *
 * @param command Usage and options.
 * @param run The program. It may throw a {@linkcode UsageError}, which is printed with
 *   the usage, or a {@linkcode RunnelError}, which is printed alone.
 */
export async function runCommand<const Options extends CommandOptions>(
  command: Command<Options>,
  run: (given: Arguments<Options>) => Promise<void> | void,
): Promise<void> {
  if (Deno.args.includes("--help") || Deno.args.includes("-h")) return console.log(command.usage);
  try {
    await run(readArguments(command, Deno.args));
  } catch (error) {
    if (error instanceof UsageError) console.error(`${error.message}\n\n${command.usage}`);
    else if (error instanceof RunnelError) {
      console.error(error.message.replace("Cannot start", command.failure ?? "Cannot start"));
    } else throw error;
    // Whatever was opened by then may keep the process alive.
    Deno.exit(1);
  }
}

/**
 * Reads the arguments of a program.
 *
 * @throws {UsageError} If an option is unknown or has no value, or an argument
 *   has no name where none is allowed.
 */
export function readArguments<const Options extends CommandOptions>(
  { options, allowPositionals = false }: Command<Options>,
  args: readonly string[],
): Arguments<Options> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals }) as Arguments<Options>;
  } catch (error) {
    throw new UsageError(describe(error as Error, options));
  }
}

function describe({ message }: Error, options: CommandOptions): string {
  const [, unknown, name] = /^Unknown option '(--?([^']+))'/.exec(message) ?? [];
  if (name === undefined) return message;
  const nearest = findNearest(name, Object.keys(options));
  return `Cannot use ${unknown}: there is no such option` +
    (nearest === null ? "" : `. Did you mean --${nearest}?`);
}
