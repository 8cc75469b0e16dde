/** Starts the server of Durable Streams: `node server.js PORT FOLDER`. */

// A static import would make Deno look for the package, which is Node's alone.
const { DurableStreamTestServer } = await import("@durable-streams/server");
const [port, dataDir] = process.argv.slice(2);
await new DurableStreamTestServer({ port: Number(port), dataDir }).start();
