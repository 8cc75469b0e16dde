import { deepStrictEqual as deepEqual, throws } from "node:assert/strict";
import { rememberLast } from "../../lib/base/remember_last.ts";

Deno.test("rememberLast() computes again only for another argument", () => {
  const computed: string[] = [];
  const double = rememberLast((text) => {
    computed.push(text);
    return text + text;
  });
  deepEqual(["a", "a", "b", "a"].map(double), ["aa", "aa", "bb", "aa"]);
  deepEqual(computed, ["a", "b", "a"]);
});

Deno.test("rememberLast() remembers nothing of a computation that throws", () => {
  const check = rememberLast((text) => {
    if (text === "bad") throw new Error("refused");
    return text;
  });
  check("good");
  for (let i = 0; i < 2; i++) throws(() => check("bad"), { message: "refused" });
  deepEqual(check("good"), "good");
});
