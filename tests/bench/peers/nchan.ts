/**
 * nchan, the module of nginx for publishers and subscribers, with its store in memory.
 *
 * @module
 */

import { eventually } from "../../support/wait.ts";
import { ServerProcess } from "../../support/programs/server_process.ts";
import { PAYLOAD, type Peer, serverOf } from "./peer.ts";

const NGINX = "/usr/sbin/nginx";
const MODULES = "/usr/lib/nginx/modules";

const isInstalled = await Deno.stat(`${MODULES}/ngx_nchan_module.so`).then(() => true, () => false);

/** nchan with a number of worker processes. */
export function nchan(workers: number): Peer {
  return {
    name: `nchan, ${workers} worker${workers === 1 ? "" : "s"}`,
    word: workers === 1 ? "nchan" : "nchan-cores",
    promises: "memory, order, resume",
    missing: isInstalled ? null : "apt-get install -y nginx-light libnginx-mod-nchan",
    wire: {
      single: { subscribe: "/sub/{pipeline}", publish: "/pub/{pipeline}", event: PAYLOAD },
      // A body is one message.
      batch: null,
      history: { subscribe: "/history/{pipeline}" },
    },
    async start() {
      const nginx = await ServerProcess.start((port, folder) => ({
        command: [NGINX, "-p", folder, "-c", "nginx.conf", "-g", "daemon off;"],
        files: { "nginx.conf": settings(port, workers) },
      }));
      // It listens before its workers are there.
      await eventually("nginx has workers", async () => (await nginx.pids()).length > workers);
      return serverOf(nginx);
    },
  };
}

/**
 * Settings of nginx. What differs from the defaults lets it take the load: more connections,
 * as many messages kept as Runnel keeps, and connections of publishers that stay open.
 */
function settings(port: number, workers: number): string {
  return `
    user root;
    load_module ${MODULES}/ngx_nchan_module.so;
    worker_processes ${workers};
    worker_rlimit_nofile 20000;
    pid nginx.pid;
    error_log error.log;
    events { worker_connections 16000; }
    http {
      access_log off;
      client_body_temp_path body;
      proxy_temp_path proxy;
      fastcgi_temp_path fastcgi;
      uwsgi_temp_path uwsgi;
      scgi_temp_path scgi;
      keepalive_requests 1000000000;
      nchan_shared_memory_size 512M;
      nchan_message_buffer_length 1000;
      nchan_message_timeout 10m;
      server {
        listen 127.0.0.1:${port} backlog=4096;
        location ~ ^/pub/(.+)$ { nchan_publisher http; nchan_channel_id $1; }
        location ~ ^/history/(.+)$ {
          nchan_subscriber eventsource;
          nchan_subscriber_first_message oldest;
          nchan_channel_id $1;
        }
        location ~ ^/sub/(.+)$ {
          nchan_subscriber eventsource;
          nchan_subscriber_first_message newest;
          nchan_channel_id $1;
        }
      }
    }`;
}
