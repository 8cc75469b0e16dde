/**
 * The proxies of `lib/service/proxies/README.md` that tests can run.
 *
 * @module
 */

import { type DocumentedProxy, fit, PAGE, SERVICE, SITE } from "./documented_proxy.ts";
import { IN_ITS_FOLDER } from "./nginx.ts";
import { requireProgram } from "./requirements.ts";
import { envoy, traefik } from "./unpackaged_proxies.ts";

const nginx: DocumentedProxy = {
  name: "nginx",
  scheme: "https",
  needs: await requireProgram("/usr/sbin/nginx", "apt-get install -y nginx-light"),
  settings: () => PAGE.sample("nginx", ""),
  configure: (settings, { port, folder, service, certificate: { cert, key } }) => ({
    protocol: "https",
    files: {
      "nginx.conf": `
        user root;
        worker_processes 1;
        daemon off;
        pid nginx.pid;
        error_log error.log;
        events {}
        http {
          ${IN_ITS_FOLDER}
          server {
            listen 127.0.0.1:${port} ssl http2;
            ssl_certificate ${cert};
            ssl_certificate_key ${key};
            ${fit(settings, [SERVICE, service.host])}
          }
        }`,
    },
    command: ["/usr/sbin/nginx", "-p", folder, "-c", "nginx.conf"],
  }),
};

const caddy: DocumentedProxy = {
  name: "Caddy",
  scheme: "https",
  needs: await requireProgram("/usr/bin/caddy", "apt-get install -y caddy"),
  settings: () => PAGE.sample("caddyfile", ""),
  configure: (settings, { port, service, certificate: { cert, key } }) => ({
    protocol: "https",
    files: {
      Caddyfile: fit(
        settings,
        [
          /^\{\n/,
          "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\ngrace_period 1s\n",
        ],
        [`${SITE} {`, `https://127.0.0.1:${port} {\nbind 127.0.0.1\ntls ${cert} ${key}`],
        [SERVICE, service.host],
      ),
    },
    command: ["/usr/bin/caddy", "run", "--config", "Caddyfile"],
  }),
};

const haproxy: DocumentedProxy = {
  name: "HAProxy",
  scheme: "https",
  needs: await requireProgram("/usr/sbin/haproxy", "apt-get install -y haproxy"),
  settings: () => PAGE.sample("haproxy", ""),
  configure: (settings, { port, service, certificate: { both } }) => ({
    protocol: "https",
    files: {
      "haproxy.cfg": fit(
        settings,
        [`:443 ssl crt /etc/haproxy/${SITE}.pem`, `127.0.0.1:${port} ssl crt ${both}`],
        [SERVICE, service.host],
      ),
    },
    command: ["/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg"],
  }),
};

/** HAProxy without TLS, where it delays events by default. */
const plainHaproxy: DocumentedProxy = {
  ...haproxy,
  name: "HAProxy without TLS",
  scheme: "http",
  configure: (settings, place) => {
    const { files, command } = haproxy.configure(settings, place);
    return {
      protocol: "http",
      files: { "haproxy.cfg": fit(files["haproxy.cfg"]!, [/ ssl crt .*$/, ""]) },
      command,
    };
  },
};

const APACHE_MODULES = [
  ..."mpm_event authz_core alias asis filter deflate headers http2 mime proxy".split(" "),
  ..."proxy_http reqtimeout setenvif socache_shmcb ssl".split(" "),
].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`);

const apache: DocumentedProxy = {
  name: "Apache",
  scheme: "https",
  needs: await requireProgram("/usr/sbin/apache2", "apt-get install -y apache2"),
  settings: () => PAGE.sample("apache", ""),
  configure: (settings, { port, folder, service, certificate: { cert, key } }) => ({
    protocol: "https",
    files: {
      "later.asis": PAGE.sample("http", "text/event-stream"),
      "apache.conf": `
        ServerRoot ${folder}
        ServerName localhost
        Listen 127.0.0.1:${port}
        PidFile apache.pid
        DefaultRuntimeDir ${folder}
        ErrorLog error.log
        ${APACHE_MODULES.join("\n")}
        TypesConfig /etc/mime.types
        Protocols h2 http/1.1
        <VirtualHost *:${port}>
          SSLEngine on
          SSLCertificateFile ${cert}
          SSLCertificateKeyFile ${key}
          ${fit(settings, ["/etc/apache2", folder], [SERVICE, service.host])}
        </VirtualHost>`,
    },
    command: ["/usr/sbin/apache2", "-f", `${folder}/apache.conf`, "-DFOREGROUND"],
  }),
};

const varnish: DocumentedProxy = {
  name: "Varnish",
  scheme: null,
  needs: await requireProgram("/usr/sbin/varnishd", "apt-get install -y varnish"),
  settings: () => PAGE.sample("vcl", ""),
  configure: (settings, { port, folder, service }) => ({
    // TLS ends at a proxy in front of it.
    protocol: "http",
    files: { "default.vcl": fit(settings, ['"8000"', `"${service.port}"`]) },
    command: [
      ...["/usr/sbin/varnishd", "-F", "-n", folder, "-f", `${folder}/default.vcl`],
      ...["-a", `127.0.0.1:${port}`, "-s", "malloc,16m", "-j", "none", "-T", "none"],
    ],
  }),
};

/** All documented proxies that tests can run. */
export const DOCUMENTED_PROXIES = [
  nginx,
  caddy,
  haproxy,
  plainHaproxy,
  apache,
  envoy,
  traefik,
  varnish,
];
