/* @ts-self-types="../../client/shared_turns.ts" */
// @ts-nocheck: built from lib/client/shared_turns.ts by "deno task build".

const TURN_MS = 2_000;

const TURNS = 2;

export function takeTurn(
  locks,
  clock,
  random,
) {
  const controller = new AbortController();
  return new Promise((resolve) => {
    const cancel = clock.after(TURN_MS, () => controller.abort());
    let release = () => {};
    const go = () => {
      cancel();
      resolve(() => release());
    };
    const name = `runnel-turn-${Math.floor(random() * TURNS)}`;
    locks.request(name, { signal: controller.signal }, () => {
      go();
      return new Promise((done) => release = done);
    }).catch(go);
  });
}
