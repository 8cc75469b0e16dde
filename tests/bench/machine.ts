/**
 * Description of the machine on which results were measured.
 *
 * @module
 */

/** Describes processor, cores, memory, kernel and runtime in one line. */
export async function describeMachine(): Promise<string> {
  const cpu = await Deno.readTextFile("/proc/cpuinfo").catch(() => "");
  const model = /^model name\s*: (.+)$/m.exec(cpu)?.[1] ?? Deno.build.arch;
  const memory = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  return [
    model,
    `${navigator.hardwareConcurrency} cores`,
    `${memory} GiB`,
    `${Deno.build.os} ${Deno.osRelease()}`,
    `Deno ${Deno.version.deno}`,
  ].join(", ");
}
