import { strictEqual as equal } from "node:assert/strict";
import { assertProblem } from "../support/clients/http.ts";
import { assertIdle, startService, type TestService } from "../support/service.ts";
import { flush } from "../support/wait.ts";

function from(hostname: string) {
  return { remoteAddr: { transport: "tcp" as const, hostname, port: 1234 } };
}

/** Opens a stream from an address, as it is or as a proxy forwards it. */
async function connect(
  { fetch }: TestService,
  { address = "192.0.2.1", forwarded = "", pipeline = "p_a" } = {},
): Promise<Response> {
  const headers = { "X-Forwarded-For": forwarded };
  const request = new Request(`http://localhost/pipelines/${pipeline}/sse`, { headers });
  return await fetch(request, from(address));
}

const limits: [
  setting: string,
  refused: { pipeline?: string; address?: string },
  is: [number, string],
][] = [
  ["RUNNEL_MAX_SUBSCRIBERS", { pipeline: "p_b", address: "192.0.2.2" }, [503, "overloaded"]],
  ["RUNNEL_MAX_PIPELINE_SUBSCRIBERS", { address: "192.0.2.2" }, [503, "overloaded"]],
  ["RUNNEL_MAX_ADDRESS_SUBSCRIBERS", { pipeline: "p_b" }, [429, "too-many-requests"]],
  ["RUNNEL_MAX_PIPELINES", { pipeline: "p_b", address: "192.0.2.2" }, [503, "overloaded"]],
];

for (const [setting, refused, [status, type]] of limits) {
  Deno.test(`${setting} rejects one more with ${status}, until another stream ends`, async () => {
    await using service = await startService({ settings: { [setting]: "1" } });
    const first = await connect(service);
    await assertProblem(await connect(service, refused), status, type);
    await first.body!.cancel();
    const next = await connect(service, refused);
    equal(next.status, 200);
    await next.body!.cancel();
    await assertIdle(service);
  });
}

Deno.test("RUNNEL_MAX_SUBSCRIBERS counts a stream until its connection closes", async () => {
  await using service = await startService({ settings: { RUNNEL_MAX_SUBSCRIBERS: "1" } });
  const { promise: completed, resolve } = Promise.withResolvers<void>();
  const request = () => new Request("http://localhost/pipelines/p_a/sse");
  await (await service.fetch(request(), { completed })).body!.cancel();
  await assertProblem(await service.fetch(request()), 503, "overloaded");
  resolve();
  await flush();
  await (await service.fetch(request())).body!.cancel();
  await assertIdle(service);
});

Deno.test("RUNNEL_MAX_ADDRESS_SUBSCRIBERS ignores X-Forwarded-For by default", async () => {
  const settings = { RUNNEL_MAX_ADDRESS_SUBSCRIBERS: "1" };
  await using service = await startService({ settings });
  const first = await connect(service, { forwarded: "198.51.100.1" });
  await assertProblem(
    await connect(service, { forwarded: "198.51.100.2" }),
    429,
    "too-many-requests",
  );
  await first.body!.cancel();
});

Deno.test("RUNNEL_MAX_ADDRESS_SUBSCRIBERS trusts the RUNNEL_TRUSTED_PROXIES", async () => {
  const settings = { RUNNEL_MAX_ADDRESS_SUBSCRIBERS: "1", RUNNEL_TRUSTED_PROXIES: "1" };
  await using service = await startService({ settings });
  const open = (forwarded: string) => connect(service, { address: "127.0.0.1", forwarded });
  const streams = [await open("198.51.100.1"), await open("198.51.100.2")];
  // An entry that the client wrote itself has no effect.
  await assertProblem(await open("198.51.100.9, 198.51.100.1"), 429, "too-many-requests");
  for (const { body } of streams) await body!.cancel();
});

Deno.test("RUNNEL_MAX_ADDRESS_SUBSCRIBERS does not count the address of this machine", async () => {
  const settings = { RUNNEL_MAX_ADDRESS_SUBSCRIBERS: "1" };
  await using service = await startService({ settings });
  for (const address of ["127.0.0.1", "127.0.0.1", "::1"]) {
    const response = await connect(service, { address });
    equal(response.status, 200);
    await response.body!.cancel();
  }
});
