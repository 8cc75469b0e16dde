/**
 * The access log: one message for each request, once its response has ended.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { RequestEnv } from "./request_env.ts";
import type { DescribeRequest } from "./request_facts.ts";

/** Writes requests to the log. */
export class AccessLog {
  readonly #runtime: Pick<Runtime, "clock" | "report">;
  readonly #describe: DescribeRequest;

  /**
   * @param runtime Clock of the durations, and reporter.
   * @param describe Describes a request.
   */
  constructor(runtime: Pick<Runtime, "clock" | "report">, describe: DescribeRequest) {
    this.#runtime = runtime;
    this.#describe = describe;
  }

  /**
   * Begins a request.
   *
   * @returns Called with the status of its response. The request is written when that has
   *   ended: a stream when it closes.
   */
  begin(request: Request, env: RequestEnv): (status: number) => void {
    const { clock } = this.#runtime;
    const began = clock.monotonic();
    // Before the response, because the connection may be closed by then.
    const { address } = env;
    return (status) => {
      const write = (isComplete: boolean) =>
        this.#runtime.report("Request", undefined, {
          level: "info",
          unlimited: true,
          fields: {
            ...this.#describe(request, env),
            status,
            ms: Math.round(clock.monotonic() - began),
            address: address ?? undefined,
            broken: isComplete ? undefined : true,
          },
        });
      if (!env.completed) return write(true);
      env.completed.then(() => write(true), () => write(false));
    };
  }
}
