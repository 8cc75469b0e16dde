/* @ts-self-types="../../client/client_event.ts" */
// @ts-nocheck: built from lib/client/client_event.ts by "deno task build".

export function readEvent(
  { id, type, data },
  pipeline,
) {
  if (data === null) return null;
  if (!type.startsWith("runnel.")) {
    const slash = pipeline ? -1 : type.indexOf("/");
    let payload;
    return {
      type: "event",
      pipeline: pipeline ?? type.slice(0, slash),
      channel: type.slice(slash + 1),
      id,
      data,
      get payload() {
        return payload ??= JSON.parse(data);
      },
    };
  }
  const kind = type.slice("runnel.".length);
  if (!/^(live|gap|end|expired)$/.test(kind)) return null;
  return { type: kind, pipeline, id, ...JSON.parse(data) };
}
