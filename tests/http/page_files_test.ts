import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { readPageFile } from "../../lib/http/page_files.ts";
import {
  type LocalServer,
  readRaw,
  sendRaw,
  serveLocally,
} from "../support/servers/local_server.ts";
import { startService } from "../support/service.ts";

const PAGES = new URL("../../lib/pages/", import.meta.url);

/** Files in the folders of `pages/` with the extensions that browsers load, as `folder/name`. */
async function list(folders: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const folder of folders) {
    for await (const { name } of Deno.readDir(new URL(`${folder}/`, PAGES))) {
      if (/\.(html|js|css|svg)$/.test(name)) files.push(`${folder}/${name}`);
    }
  }
  return files;
}

/** Names of files that exist, none of which is served. */
const HIDDEN = [
  "shared/../../app.ts",
  "shared/../../../main.ts",
  "shared/../../../deno.json",
  "shared/../start/start.html",
  "../pages/shared/style.css",
  "./shared/style.css",
  "shared//style.css",
  "/shared/style.css",
  "shared/./style.css",
  "shared/style.css/",
  "shared\\style.css",
  "shared/style.css\0",
  "shared/style.css\n",
  "SHARED/style.css",
  "viewer/screenshot.png",
  "examples/index.html",
  "style.css",
  "shared",
  "",
];

Deno.test("readPageFile() serves the files that browsers load, with their media types", async () => {
  const files = await list(["api", "client", "diagnose", "shared", "start", "viewer"]);
  const types = new Set<string>();
  for (const file of files) {
    const response = await readPageFile(file);
    equal(await response?.text(), await Deno.readTextFile(new URL(file, PAGES)), file);
    equal(response?.headers.get("Cache-Control"), "no-cache");
    types.add(response!.headers.get("Content-Type")!);
  }
  deepEqual([...types].sort(), [
    "image/svg+xml",
    "text/css; charset=utf-8",
    "text/html; charset=utf-8",
    "text/javascript; charset=utf-8",
  ]);
});

Deno.test("readPageFile() returns null for a name that leads elsewhere", async () => {
  for (const name of HIDDEN) equal(await readPageFile(name), null, name);
  equal(await readPageFile("shared/%73tyle.css"), null);
});

Deno.test("readPageFile() returns null for a file that does not exist", async () => {
  for (const name of ["shared/nothing.css", "nothing/style.css", "shared/x.constructor"]) {
    equal(await readPageFile(name), null, name);
  }
});

Deno.test("Pages and their files carry the policy that forbids other origins", async () => {
  await using service = await startService();
  for (const path of ["", "diagnose", "pipelines/p_a", "assets/shared/style.css"]) {
    const request = new Request(`http://localhost/${path}`, { headers: { Accept: "text/html" } });
    const { status, headers } = await service.fetch(request);
    equal(status, 200, path);
    equal(
      headers.get("Content-Security-Policy"),
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
        "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      path,
    );
  }
});

Deno.test("The client may be imported by pages of all origins, and other files by none", async () => {
  await using service = await startService({
    settings: { RUNNEL_ALLOW_ORIGINS: "https://shop.example" },
  });
  const headersOf = async (path: string, origin: string) => {
    const headers = { Origin: origin };
    const answer = await service.fetch(new Request(`http://localhost/assets/${path}`, { headers }));
    equal(answer.status, 200, path);
    return ["Access-Control-Allow-Origin", "Cross-Origin-Resource-Policy"].map((name) =>
      answer.headers.get(name)
    );
  };
  deepEqual(await headersOf("client/mod.js", "https://other.example"), ["*", "cross-origin"]);
  deepEqual(await headersOf("client/shared_worker.js", "null"), ["*", "cross-origin"]);
  const [allowed, policy] = await headersOf("client/mod.js", "https://shop.example");
  deepEqual([allowed, policy], ["https://shop.example", "cross-origin"]);
  deepEqual(await headersOf("shared/entry.js", "https://other.example"), [null, "same-origin"]);
});

Deno.test("/assets answers 404 to a path that leads elsewhere, encoded or not", async () => {
  await using service = await startService();
  await using server: LocalServer = serveLocally(service.fetch);
  const paths = HIDDEN.flatMap((name) => [name, encodeURIComponent(name)])
    .filter((path) => !/[\0\n]/.test(path));
  paths.push(
    "shared/%2e%2e/%2e%2e/app.ts",
    "shared/..%2f..%2fapp.ts",
    "..%2f/app.ts",
    "%2e%2e/app.ts",
  );
  for (const path of paths) {
    // As it stands: `fetch()` would resolve the dots by itself.
    using connection = await sendRaw(
      server.port,
      `GET /assets/${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    match(await readRaw(connection), /^HTTP\/1\.1 404 /, path);
  }
});
