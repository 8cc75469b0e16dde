import { ok, rejects } from "node:assert/strict";
import { cargo, Load } from "../bench/load.ts";
import { PAYLOAD } from "../bench/peers/mod.ts";
import { ServerProcess } from "../support/programs/server_process.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";

/** Drives the trivial server of the load generator, which may be made to fail. */
async function drive(fault: string): Promise<Record<string, number>> {
  const load = await Load.build();
  await using server = await ServerProcess.start((port) => ({
    command: [load.path, "serve", "--port", `${port}`, "--fault", fault],
  }));
  return await load.run("drive", {
    ports: server.port,
    pids: (await server.pids()).join(),
    subscribers: 7,
    publishers: 3,
    event: PAYLOAD,
    warmup: 0.1,
    seconds: 0.3,
    patience: 1,
  });
}

testWithRequirements([cargo], "load drive measures deliveries and publishes", async () => {
  const { deliveries, publishes, checked, deliveryP50, publishP50, residentAfter } = await drive(
    "none",
  );
  ok(publishes! > 10 && checked! > deliveries!);
  // Events on their way at the beginning and at the end of the measured time.
  ok(Math.abs(deliveries! - 7 * publishes!) <= 2 * 7 * 3, `${deliveries} ${publishes}`);
  ok(deliveryP50! > 0 && publishP50! > 0 && residentAfter! > 0);
});

for (
  const [fault, error] of [
    ["lose", /events are delivered: /],
    ["double", /came twice/],
    ["swap", /came twice, or after a later one/],
    // The one may have been the first to receive it.
    ["one", /to another subscriber it was|came twice, or after a later one/],
  ] as const
) {
  testWithRequirements([cargo], `load drive notices a fault of a server: ${fault}`, async () => {
    await rejects(drive(fault), error);
  });
}
