// Prints the events of a stream, read by one of several libraries, as JSON lines.
// Usage: node client.js LIBRARY URL. It reconnects after its last event ID until it is ended.

const [library, url] = process.argv.slice(2);

const print = (type, id, data) => console.log(JSON.stringify({ type, id: id ?? "", data }));

const libraries = {
  async eventsource() {
    const { EventSource } = await import("eventsource");
    const source = new EventSource(url);
    const types = ["events", "p_a/events", "p_b/a/b c", "runnel.live", "runnel.gap", "message"];
    for (const type of types) {
      source.addEventListener(type, (event) => print(type, event.lastEventId, event.data));
    }
    // The library reconnects by itself; a timer keeps the process alive meanwhile.
    setInterval(() => {}, 1000);
  },
  async "fetch-event-source"() {
    // It was written for browsers.
    globalThis.window = globalThis;
    globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
    const { fetchEventSource } = await import("@microsoft/fetch-event-source");
    let lastId = "";
    await fetchEventSource(url, {
      openWhenHidden: true,
      // The library takes an ID before it has the event, and would miss the event after a cut.
      fetch: (url, options) =>
        fetch(url, { ...options, headers: { ...options.headers, "last-event-id": lastId } }),
      onmessage: ({ event, id, data }) => {
        lastId = id || lastId;
        print(event || "message", id, data);
      },
      // Without this, a stream that ends cleanly is the end.
      onclose: () => {
        throw new Error("The stream has ended");
      },
      onerror: () => 50,
    });
  },
  async "eventsource-client"() {
    const { createEventSource } = await import("eventsource-client");
    createEventSource({
      url,
      onMessage: ({ event, id, data }) => print(event ?? "message", id, data),
    });
    setInterval(() => {}, 1000);
  },
};

await libraries[library]();
