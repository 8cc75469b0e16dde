/**
 * Facts about a request that it does not carry itself.
 *
 * @module
 */

import type { ClientAddresses } from "../access/mod.ts";
import type { RequestIds } from "./request_ids.ts";

/** Facts about a request, as the server knows them: part of `Deno.ServeHandlerInfo`. */
export interface RequestInfo {
  /** Settles when the response was sent, or cannot be sent any more. */
  completed?: Promise<unknown> | undefined;
  /** Address at the other end of the connection. */
  remoteAddr?: Deno.Addr | undefined;
  /** Aborted before the server closes its connections, though the instance goes on. */
  shutdown?: AbortSignal | undefined;
  /** Whether connections could not be accepted a moment ago: the process had no file for them. */
  lacksFiles?: boolean | undefined;
}

/** The type of `c.env`. It reads each fact when it is asked for it: the runtime creates it then. */
export class RequestEnv {
  readonly #request: Request;
  readonly #info: RequestInfo;
  readonly #addresses: ClientAddresses;
  readonly #ids: RequestIds;
  /** `undefined` until it is asked for. */
  #address: string | null | undefined;
  #id: string | undefined;
  /** Error with which the request is refused, whatever it asks for. */
  refusal: unknown;

  constructor(
    request: Request,
    info: RequestInfo,
    { addresses, ids }: { addresses: ClientAddresses; ids: RequestIds },
  ) {
    this.#request = request;
    this.#info = info;
    this.#addresses = addresses;
    this.#ids = ids;
  }

  /** Address by which the client is counted; `null` if it is not counted. */
  get address(): string | null {
    if (this.#address !== undefined) return this.#address;
    return this.#address = this.#addresses.of(this.#request.headers, this.#remote);
  }

  /** Whether the request comes from this machine and was not forwarded. */
  get isOwn(): boolean {
    return this.#addresses.isOwn(this.#request.headers, this.#remote);
  }

  get #remote(): string | undefined {
    const { remoteAddr } = this.#info;
    return remoteAddr && "hostname" in remoteAddr ? remoteAddr.hostname : undefined;
  }

  /** ID of the request: errors carry it to the client, and messages of the log have it. */
  get id(): string {
    return this.#id ??= this.#ids.of(this.#request.headers);
  }

  /** The same as {@linkcode RequestInfo.completed}. */
  get completed(): Promise<unknown> | undefined {
    return this.#info.completed;
  }

  /** The same as {@linkcode RequestInfo.shutdown}. */
  get shutdown(): AbortSignal | undefined {
    return this.#info.shutdown;
  }

  /** The same as {@linkcode RequestInfo.lacksFiles}. */
  get lacksFiles(): boolean {
    return this.#info.lacksFiles ?? false;
  }
}
