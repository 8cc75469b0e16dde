/**
 * The viewer in a browser, with the pipeline that it shows.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { BrowserPage } from "../../support/browser/browser_page.ts";
import { eventually } from "../../support/wait.ts";

/** Message of a browser about a response with an error, and about a service that is stopped. */
export const FAILED_REQUEST = /^Failed to load resource/;

/** The pipeline of a test, on its own service. */
export class Pipeline {
  readonly page: string;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
    this.page = `${url}/pipelines/p_a`;
  }

  /** Publishes events in one request, and returns their IDs. */
  async publish(...events: { channel?: string; payload?: unknown }[]): Promise<string[]> {
    const body = events.map((event) => ({
      pipeline: "p_a",
      channel: "orders",
      payload: 1,
      ...event,
    }));
    const response = await fetch(`${this.#url}/ingest`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    equal(response.status, 202);
    return (await response.json()).events.map(({ id }: { id: string }) => id);
  }

  /** Ends the run. */
  async end(): Promise<void> {
    const response = await fetch(`${this.page}/end`, { method: "POST" });
    await response.body?.cancel();
    equal(response.status, 202);
  }

  /** Clears the history. */
  async clear(): Promise<void> {
    const response = await fetch(`${this.page}/events`, { method: "DELETE" });
    equal(response.status, 204);
  }

  /** Reads the publish times of the history, by ID. */
  async times(): Promise<Map<string, string>> {
    const { events } = await (await fetch(`${this.page}/events`)).json();
    return new Map(events.map(({ id, time }: { id: string; time: string }) => [id, time]));
  }
}

/** Opens the viewer of a pipeline, and waits until its stream is live. */
export async function openViewer(tab: BrowserPage, pipeline: Pipeline): Promise<void> {
  await tab.page.goto(pipeline.page);
  await waitUntilLive(tab);
}

/** Waits until the viewer's stream is live. */
export async function waitUntilLive(tab: BrowserPage): Promise<void> {
  await tab.page.waitForSelector('#state[data-state="live"]');
}

/** Reads the rows from the top: the IDs of events, and the texts of notices. */
export async function readRows(tab: BrowserPage): Promise<string[]> {
  return await tab.page.evaluate<string[]>(
    `[...document.querySelectorAll("#rows > li")].map((row) =>
      row.dataset.id ?? row.querySelector("span").textContent)`,
  );
}

/** Waits for rows, and asserts that they are these. */
export async function expectRows(tab: BrowserPage, expected: string[]): Promise<void> {
  let rows: string[] = [];
  await eventually("the rows are as expected", async () => {
    rows = await readRows(tab);
    return rows.length >= expected.length && rows[0] === expected[0];
  }).catch(() => {});
  deepEqual(rows, expected);
}

/** Waits for the text of an element, and asserts it. */
export async function expectText(
  tab: BrowserPage,
  selector: string,
  expected: string,
): Promise<void> {
  let text = "";
  await eventually(`the text of ${selector} is "${expected}"`, async () => {
    text = await tab.text(selector);
    return text === expected;
  }).catch(() => {});
  equal(text, expected);
}
