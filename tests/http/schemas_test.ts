import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { z } from "zod";
import {
  channelSchema,
  eventSchema,
  idempotencyKeySchema,
  pipelineSchema,
} from "../../lib/http/schemas.ts";
import { subscriptionQuery } from "../../lib/http/subscription_schemas.ts";

interface Rule {
  name: string;
  schema: z.ZodType;
  good: unknown[];
  bad: unknown[];
}

const notText = [undefined, null, 1, true, ["p_a"], {}];

const rules: Rule[] = [
  {
    name: "pipelineSchema",
    schema: pipelineSchema,
    good: ["p_a", "p__", "p_-", "p_aBcDeF09_-", `p_${"a".repeat(62)}`, "p_constructor"],
    bad: [
      ...notText,
      "",
      "p_",
      "p",
      "a",
      "P_a",
      " p_a",
      "p_a ",
      "p_a\n",
      "\np_a",
      "p_a\0",
      "p_a.b",
      "p_a/b",
      "p_a%20",
      "p_é",
      "p_\ud800",
      `p_${"a".repeat(63)}`,
    ],
  },
  {
    name: "channelSchema",
    schema: channelSchema,
    good: [
      "a",
      " ",
      " a:b ",
      "a".repeat(128),
      "😀".repeat(64),
      "é",
      "\u2028",
      "\ufeff",
      "\ufffd",
      "\xa0",
      "errors",
      "opened",
      "Error",
      "error ",
      "message",
      "runnel",
      "Runnel.x",
      "a.runnel.x",
      "__proto__",
    ],
    bad: [
      ...notText,
      "",
      "a".repeat(129),
      "😀".repeat(64) + "a",
      "a\nb",
      "a\rb",
      "a\n",
      "a\tb",
      "a\0b",
      "\x7f",
      "\x80",
      "\x85",
      "\x9f",
      "\ud800",
      "a\udc00",
      "\udc00\ud800",
      "error",
      "open",
      "runnel.",
      "runnel.live",
    ],
  },
  {
    name: "idempotencyKeySchema",
    schema: idempotencyKeySchema,
    good: ["a", "!", "~", '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a".repeat(255)],
    bad: [...notText, "", " ", "a b", "a\n", "\x7f", "é", "a".repeat(256)],
  },
  {
    name: "eventSchema",
    schema: eventSchema,
    good: [null, false, 0, "", [], {}, { payload: 1 }]
      .map((payload) => ({ pipeline: "p_a", channel: "c", payload })),
    bad: [
      ...notText,
      [],
      { channel: "c", payload: 1 },
      { pipeline: "p_a", payload: 1 },
      { pipeline: "p_a", channel: "c" },
      { pipeline: "p_a", channel: "c", payload: undefined },
      { pipeline: "p_a", channel: "c", payload: 1, id: "1" },
      { pipeline: "p_a", channel: "c", payload: 1, constructor: 1 },
      JSON.parse('{"pipeline":"p_a","channel":"c","payload":1,"__proto__":{}}'),
      JSON.parse('{"__proto__":{"pipeline":"p_a","channel":"c","payload":1}}'),
      { pipeline: ["p_a"], channel: "c", payload: 1 },
    ],
  },
];

for (const { name, schema, good, bad } of rules) {
  for (const value of good) {
    Deno.test(`${name} accepts ${show(value)}`, () => {
      equal(schema.safeParse(value).success, true);
    });
  }
  for (const value of bad) {
    Deno.test(`${name} rejects ${show(value)}`, () => {
      equal(schema.safeParse(value).success, false);
    });
  }
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 20)}… of ${text.length} characters` : text;
}

Deno.test("eventSchema returns the payload itself, not a copy", () => {
  const payload = JSON.parse('{"__proto__":[1],"a":{"b":null}}');
  const event = { pipeline: "p_a", channel: "c", payload };
  const parsed = eventSchema.parse(event);
  equal(parsed.payload, payload);
  deepEqual(Object.keys(parsed), ["pipeline", "channel", "payload"]);
});

Deno.test("subscriptionQuery() accepts as much history as is kept", () => {
  for (
    const [history, text, taken] of [[100, "100", true], [7, "8", false], [7, "7", true]] as const
  ) {
    equal(subscriptionQuery(history).safeParse({ history: text }).success, taken, text);
  }
});
