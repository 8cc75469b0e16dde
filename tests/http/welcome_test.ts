import { ok, strictEqual as equal } from "node:assert/strict";
import { readConfig } from "../../lib/config/config.ts";
import { welcomeText } from "../../lib/http/welcome.ts";
import { readPublishRequest } from "../../lib/http/publish_request.ts";
import { encodeUtf8 } from "../support/generators/text.ts";

const text = welcomeText("https://runnel.example:8443", readConfig({}).access);

Deno.test("welcomeText() contains the given address, and no other", () => {
  const addresses = [...text.matchAll(/https?:\/\/[^/"\s]+/g)].map(([address]) => address);
  ok(addresses.length >= 4);
  equal(new Set(addresses).size, 1);
  equal(addresses[0], "https://runnel.example:8443");
});

Deno.test("welcomeText() shows a valid publish to the pipeline that it watches", () => {
  const [, type] = /-H 'Content-Type: ([^']+)'/.exec(text)!;
  const [, body] = /-d '([^']+)'/.exec(text)!;
  const { pipeline, events } = readPublishRequest({ contentType: type!, body: encodeUtf8(body!) });
  ok(text.includes(`curl -N https://runnel.example:8443/pipelines/${pipeline}/sse`));
  ok(text.includes(`new EventSource("https://runnel.example:8443/pipelines/${pipeline}/sse")`));
  ok(text.includes(`addEventListener("${events[0]!.channel}"`));
});

Deno.test("welcomeText() has lines of 100 characters at most, and one break at its end", () => {
  ok(text.split("\n").every((line) => line.length <= 100));
  ok(text.endsWith("\n") && !text.endsWith("\n\n"));
});
