/**
 * A real nginx in front of a server, for tests with a proxy between a service
 * and its clients.
 *
 * @module
 */

import { eventually } from "../wait.ts";
import type { Requirement } from "./requirements.ts";
import { freePort } from "./server_process.ts";
import { TempFolder } from "./temp_folder.ts";

const NGINX = "/usr/sbin/nginx";

/** Directives of `http` for a server that writes only to its own folder. */
export const IN_ITS_FOLDER = `
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
`;

/** Requirements of a test that starts nginx. */
export const systemNginx: Requirement = {
  isInstalled: await Deno.stat(NGINX).then(() => true, () => false),
  install: "apt-get install -y nginx-light",
};

/** An nginx that runs until disposed. */
export class Nginx implements AsyncDisposable {
  /** Address of nginx. */
  readonly url: string;
  readonly #child: Deno.ChildProcess;
  readonly #folder: TempFolder;

  private constructor(port: number, folder: TempFolder) {
    this.url = `http://127.0.0.1:${port}`;
    this.#folder = folder;
    this.#child = new Deno.Command(NGINX, {
      args: ["-p", folder.path, "-c", "nginx.conf", "-g", "daemon off;"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /** Starts nginx with directives for its server and for `http`, and waits until it listens. */
  static async start(server: string, http = ""): Promise<Nginx> {
    const folder = new TempFolder();
    const port = freePort();
    await folder.write(
      "nginx.conf",
      `user root;
      worker_processes 1;
      pid nginx.pid;
      error_log error.log;
      events {}
      http {
        ${IN_ITS_FOLDER}
        ${http}
        server { listen 127.0.0.1:${port}; ${server} }
      }`,
    );
    const nginx = new Nginx(port, folder);
    try {
      await eventually("nginx listens", () =>
        Deno.connect({ hostname: "127.0.0.1", port }).then(
          (connection) => {
            connection.close();
            return true;
          },
          () => false,
        ));
      return nginx;
    } catch (error) {
      const log = await Deno.readTextFile(`${folder.path}/error.log`).catch(() => "");
      await nginx[Symbol.asyncDispose]();
      throw new Error(`nginx did not start: ${log}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // The worker ends with nginx, which it would not on SIGKILL.
      this.#child.kill("SIGTERM");
    } catch (error) {
      // nginx has exited by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
    await this.#folder[Symbol.asyncDispose]();
  }
}
