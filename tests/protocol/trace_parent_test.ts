import { strictEqual as equal } from "node:assert/strict";
import { readTraceParent } from "../../lib/protocol/trace_parent.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

Deno.test("readTraceParent() returns a valid header, and a later version as version 00", () => {
  for (const flags of ["00", "01", "ff"]) {
    equal(readTraceParent(`00-${TRACE}-${SPAN}-${flags}`), `00-${TRACE}-${SPAN}-${flags}`);
  }
  equal(readTraceParent(`cc-${TRACE}-${SPAN}-01-more`), `00-${TRACE}-${SPAN}-01`);
});

const invalid: Record<string, string | undefined> = {
  "no header": undefined,
  "nothing": "",
  "version ff": `ff-${TRACE}-${SPAN}-01`,
  "version 00 with more": `00-${TRACE}-${SPAN}-01-more`,
  "a later version with more and no dash": `cc-${TRACE}-${SPAN}-01more`,
  "capital letters": `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  "no trace": `00-${"0".repeat(32)}-${SPAN}-01`,
  "no parent": `00-${TRACE}-${"0".repeat(16)}-01`,
  "a line break": `00-${TRACE}-${SPAN}-01\n`,
  "another text": `00-${TRACE}-${SPAN}`,
};

for (const [name, header] of Object.entries(invalid)) {
  Deno.test(`readTraceParent() ignores ${name}`, () => equal(readTraceParent(header), undefined));
}
