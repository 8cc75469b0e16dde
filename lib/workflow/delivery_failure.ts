/**
 * From the failure of a request to the error of a delivery.
 *
 * @module
 */

import { type DeliveredEvent, DeliveryError } from "./delivery_error.ts";
import { type PublishRequest, toUnsent } from "./publish_request.ts";
import type { DeliveryFailure } from "./publisher.ts";

/**
 * Creates the error of a delivery.
 *
 * @param delivered Events that the service accepted before the failure, in order.
 * @param requests Requests that were not accepted, in order.
 */
export function createDeliveryError(
  { reason, status, cause }: Omit<DeliveryFailure, "unsent">,
  delivered: readonly DeliveredEvent[],
  requests: readonly PublishRequest[],
): DeliveryError {
  const unsent = requests.filter(({ events }) => events.length > 0).map(toUnsent);
  const count = unsent.reduce((sum, { events }) => sum + events.length, 0);
  const what = count > 0 ? `deliver ${count} of ${delivered.length + count} events` : "end the run";
  return new DeliveryError(
    `Cannot ${what}: ${reason}`,
    { delivered, unsent, status },
    cause === undefined ? {} : { cause },
  );
}
