import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { line, openAppend } from "../support/clients/appender.ts";
import { fit, SERVICE } from "../support/programs/documented_proxy.ts";
import { Nginx, systemNginx } from "../support/programs/nginx.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { findReadme } from "../support/readme.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { assertIdle } from "../support/service.ts";
import { eventually } from "../support/wait.ts";

/** Starts a service, and an nginx in front of it with the sample of the documentation. */
async function start() {
  const service = await serveService();
  const sample = findReadme("lib/http/runs/README.md").sample("nginx", "");
  const nginx = await Nginx.start(fit(sample, [SERVICE, new URL(service.url).host]));
  return {
    service,
    nginx,
    async [Symbol.asyncDispose]() {
      await nginx[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

testWithRequirements(
  [systemNginx],
  "nginx with the sample passes on events as they come",
  async () => {
    await using both = await start();
    const { service, nginx } = both;
    const open = openAppend(nginx);
    for (let number = 1; number <= 3; number++) {
      await open.write(line(number));
      await eventually("it is stored", () => service.metrics.events.value === number);
    }
    await open.close();
    const { status, accepted } = await open.answer;
    deepEqual([status, accepted], [200, 3]);
    await assertIdle(service);
  },
);
