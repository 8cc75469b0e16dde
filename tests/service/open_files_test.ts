import { match, strictEqual as equal } from "node:assert/strict";
import { type OpenFile, warnOfOpenFiles } from "../../lib/service/open_files.ts";

/** Error of the runtime if a process may open no more files. */
const TOO_MANY = Object.assign(new Error("Too many open files"), { code: "EMFILE" });

/** Opens files up to a limit, and counts those that are open. */
function limitedTo(
  limit: number,
  error: Error = TOO_MANY,
): { open: OpenFile; files: Set<object>; most: () => number } {
  const files = new Set<object>();
  let most = 0;
  return {
    files,
    most: () => most,
    open() {
      if (files.size === limit) throw error;
      const file = { [Symbol.dispose]: () => void files.delete(file) };
      files.add(file);
      most = Math.max(most, files.size);
      return file;
    },
  };
}

Deno.test("warnOfOpenFiles() returns nothing if the files are enough", () => {
  const { open, files, most } = limitedTo(2200);
  equal(warnOfOpenFiles({ maxSubscribers: 1000, isolates: 2 }, open), null);
  equal(files.size, 0);
  equal(most(), 2200);
});

Deno.test("warnOfOpenFiles() names the numbers to set if the files are too few", () => {
  const { open, files } = limitedTo(2199);
  const warning = warnOfOpenFiles({ maxSubscribers: 1000, isolates: 2 }, open)!;
  match(warning, /^RUNNEL_MAX_SUBSCRIBERS is 1000 for each isolate, .* 2199 more files open/);
  match(warning, /Set it to 999, or allow 2300 open files/);
  equal(files.size, 0);
  match(warnOfOpenFiles({ maxSubscribers: 10_000, isolates: 1 }, open)!, /Set it to 1999,/);
});

Deno.test("warnOfOpenFiles() suggests at least one subscriber", () => {
  const { open } = limitedTo(50);
  match(warnOfOpenFiles({ maxSubscribers: 100, isolates: 1 }, open)!, /Set it to 1,/);
});

Deno.test("warnOfOpenFiles() tries 100,000 files at most", () => {
  const { open, most } = limitedTo(Infinity);
  equal(warnOfOpenFiles({ maxSubscribers: 1_000_000, isolates: 64 }, open), null);
  equal(most(), 100_000);
});

Deno.test("warnOfOpenFiles() returns nothing if it may not read a file", () => {
  equal(warnOfOpenFiles({ maxSubscribers: 1000, isolates: 1 }, null), null);
});

Deno.test("warnOfOpenFiles() returns nothing if a file cannot be opened for another reason", () => {
  const { open, files } = limitedTo(0, new Deno.errors.NotFound("deno.json"));
  equal(warnOfOpenFiles({ maxSubscribers: 1000, isolates: 1 }, open), null);
  equal(files.size, 0);
});
