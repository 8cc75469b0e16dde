/**
 * Commits to a bare Deno KV file at a rate, and prints the CPU time of one in seconds.
 *
 * Run it with the path of the file, the rate, and the time in seconds.
 *
 * @module
 */

/** Ticks of a second in `/proc`. */
const TICKS = 100;

const [path, rate, seconds] = Deno.args;
const kv = await Deno.openKv(path!);
const commit = (index: number) =>
  kv.atomic()
    .set(["head", "p_a"], { sequence: index, time: Date.now() })
    .set(["segments", "p_a", index], new Uint8Array(300))
    .commit();

/** Returns the CPU time of this process, in seconds. */
function cpu(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** Commits for a time, in milliseconds. */
async function run(ms: number, from: number): Promise<number> {
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < ms) {
    await commit(from + count++);
    const ahead = count / Number(rate) * 1000 - (performance.now() - start);
    if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead));
  }
  return count;
}

const warm = await run(500, 0);
const before = cpu();
const count = await run(Number(seconds) * 1000, warm);
console.log((cpu() - before) / count);
kv.close();
