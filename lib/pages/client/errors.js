/* @ts-self-types="../../client/errors.ts" */
// @ts-nocheck: built from lib/client/errors.ts by "deno task build".

export class SubscribeError extends Error {
  constructor(
    reason,
    { status = 0, type = "", detail = "" } = {},
  ) {
    super(`Cannot subscribe: ${reason}`);
    this.name = "SubscribeError";
    this.status = status;
    this.type = type;
    this.detail = detail;
  }
}
