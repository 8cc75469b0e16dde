/* @ts-self-types="../../client/stream_parser.ts" */
// @ts-nocheck: built from lib/client/stream_parser.ts by "deno task build".

const MAX_LENGTH = 1024 * 1024;

export class StreamParser {
  retryMs = null;
  // Without its own search for a byte order mark: that of Deno removes later ones, too.
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #skipped = "\uFEFF";
  #line = "";
  #id;
  #type = "";
  #data = "";

  constructor(lastEventId = "") {
    this.#id = lastEventId;
  }

  push(piece) {
    const blocks = [];
    let text = this.#decoder.decode(piece, { stream: true });
    if (!text) return blocks;
    // A byte order mark at the start of the stream, or the LF of a CR that has ended its line already.
    if (text[0] === this.#skipped) text = text.slice(1);
    this.#skipped = text.endsWith("\r") ? "\n" : "";
    const lines = text.split(/\r\n|\r|\n/);
    lines[0] = this.#line + lines[0];
    this.#line = lines.pop();
    for (const line of lines) {
      if (line) this.#readField(line);
      else this.#endBlock(blocks);
    }
    if (this.#line.length + this.#data.length > MAX_LENGTH) {
      throw new Error("An event has no end");
    }
    return blocks;
  }

  #endBlock(blocks) {
    const data = this.#data ? this.#data.slice(0, -1) : null;
    blocks.push({ id: this.#id, type: this.#type || "message", data });
    this.#type = this.#data = "";
  }

  #readField(line) {
    // At the first colon alone: the pattern takes the rest of the line.
    const [name, value = ""] = line.split(/: ?(.*)/s);
    if (name === "data") this.#data += `${value}\n`;
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = +value;
  }
}
