import { deepStrictEqual as deepEqual, throws } from "node:assert/strict";
import { readArguments, UsageError } from "../../lib/base/command_line.ts";

const OPTIONS = {
  port: { type: "string" },
  host: { type: "string", default: "127.0.0.1" },
  version: { type: "boolean" },
} as const;

Deno.test("readArguments() returns options, their defaults, and arguments without a name", () => {
  const { values, positionals } = readArguments(
    { usage: "", options: OPTIONS, allowPositionals: true },
    ["a.js", "--port", "80", "--version"],
  );
  deepEqual({ ...values }, { host: "127.0.0.1", port: "80", version: true });
  deepEqual(positionals, ["a.js"]);
});

for (
  const [name, args, message] of [
    [
      "a misspelt option",
      ["--prot", "80"],
      "Cannot use --prot: there is no such option. Did you mean --port?",
    ],
    [
      "an option that nothing is near to",
      ["--color"],
      "Cannot use --color: there is no such option",
    ],
    ["an option without its value", ["--port"], "Option '--port <value>' argument missing"],
    [
      "an argument without a name",
      ["8000"],
      "Unexpected argument '8000'. This command does not take positional arguments",
    ],
  ] as const
) {
  Deno.test(`readArguments() refuses ${name}`, () => {
    throws(() => readArguments({ usage: "", options: OPTIONS }, args), new UsageError(message));
  });
}
