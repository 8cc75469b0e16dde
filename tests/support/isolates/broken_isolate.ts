/**
 * An isolate that ends by itself, in the way that its address names, when a
 * broadcast selects it.
 *
 * @module
 */

import "../../../lib/service/isolate.ts";

const ways: Record<string, () => void> = {
  "?throws": () => {
    throw new Error("out of luck");
  },
  "?rejects": () => void Promise.reject(new Error("out of luck")),
  "?exits": () => Deno.exit(0),
  "?closes": () => self.close(),
};

// When everything has started: a moment after it was imported would be too soon.
new BroadcastChannel("runnel p_break").onmessage = () => ways[new URL(import.meta.url).search]!();
