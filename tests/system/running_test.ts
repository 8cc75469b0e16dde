import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { cp } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { INSTRUMENTS } from "../../lib/telemetry/instruments.ts";
import { metricName } from "../../lib/telemetry/open_metrics.ts";
import { openStream } from "../support/clients/stream_reader.ts";
import { parse, parseAllDocuments } from "../support/packages/yaml.ts";
import { buildImage, type Image, parseDockerfile } from "../support/programs/dockerfile.ts";
import { Program } from "../support/programs/program.ts";
import { requireProgram, testWithRequirements } from "../support/programs/requirements.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";
import { findReadme } from "../support/readme.ts";
import { DenoKv, testWithDenokv } from "../support/stores/denokv.ts";
import { eventually } from "../support/wait.ts";

const README = findReadme("lib/service/running/README.md");
const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");
const DENO_FOLDER = Deno.execPath().replace(/\/[^/]*$/, "");
const PATH = `${DENO_FOLDER}:/usr/sbin:/usr/bin:/sbin:/bin`;

const systemd = await requireProgram("/usr/bin/systemd-analyze", "apt-get install -y systemd");
const promtool = await requireProgram("/usr/bin/promtool", "apt-get install -y prometheus");

/** Time that the service takes to exit, in seconds. */
const EXIT_S = 5;

/** Greatest exposure that systemd may find in the unit, of 10. */
const MAX_EXPOSURE = 2.0;

/** The unit of systemd. */
const unit = README.sample("ini", "ExecStart");

/** Returns the values of a directive. */
function directives(name: string): string[] {
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value]) => value!);
}

/** Publishes an event to one program, and receives it from another. */
async function deliver(from: { url: string }, to: { url: string }, token?: string): Promise<void> {
  const stream = await openStream(to, "p_a");
  await stream.until("runnel.live");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const url = `${from.url}/ingest/p_a/events`;
  const answer = await fetch(url, { method: "POST", headers, body: "1" });
  equal(answer.status, 202, await answer.text());
  equal((await stream.event())!.data, '"1"');
  await stream.cancel();
}

/** Runs a program, and returns its exit code and all that it prints. */
async function output(command: string, args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

// systemd

testWithRequirements(
  [systemd],
  "systemd finds no fault in the unit, and little exposure",
  async () => {
    await using folder = new TempFolder();
    // It looks for the program and for the folder.
    const here = unit.replaceAll("/usr/local/bin/deno", Deno.execPath())
      .replaceAll("/opt/runnel", ROOT);
    const path = await folder.write("runnel.service", here);
    const verified = await output("systemd-analyze", ["verify", "--man=no", path]);
    const own = verified.text.split("\n").filter((line) => line.includes("runnel.service"));
    deepEqual([verified.code, own], [0, []]);
    const rated = await output("systemd-analyze", ["security", "--offline=yes", path]);
    const [, exposure] = /exposure level for runnel\.service: ([\d.]+)/.exec(rated.text)!;
    ok(Number(exposure) <= MAX_EXPOSURE, `exposure ${exposure}`);
  },
);

Deno.test("The command of the unit serves from a folder of its own, and ends in time", async () => {
  await using folder = new TempFolder();
  for (const name of ["main.ts", "deno.json", "deno.lock", "lib"]) {
    await cp(`${ROOT}/${name}`, `${folder.path}/${name}`, { recursive: true });
  }
  await Deno.mkdir(`${folder.path}/state`);
  const place = (text: string) => text.replaceAll("/var/lib/runnel", `${folder.path}/state`);
  const [executable, ...args] = place(directives("ExecStart")[0]!).split(" ");
  equal(executable, "/usr/local/bin/deno");
  deepEqual(directives("WorkingDirectory"), ["/opt/runnel"]);
  const settings = Object.fromEntries(
    directives("Environment").flatMap((line) => place(line).split(" "))
      .map((pair) => pair.split("=") as [string, string])
      // The cache would be empty, and there is no proxy.
      .filter(([name]) => !["DENO_DIR", "RUNNEL_TRUSTED_PROXIES"].includes(name)),
  );
  await using program = await Program.start(
    settings,
    [Deno.execPath(), ...args],
    folder.path,
  );
  await deliver(program, program);
  ok((await Deno.stat(`${folder.path}/state/runnel.sqlite`)).isFile);
  // ExecReload gives memory back, and ends nothing.
  deepEqual(directives("ExecReload"), ["/bin/kill -USR2 $MAINPID"]);
  program.kill("SIGUSR2");
  await deliver(program, program);
  deepEqual(program.complaints, []);
  const since = performance.now();
  program.kill("SIGTERM");
  equal(await program.exit(), 0);
  ok(performance.now() - since < EXIT_S * 1000);
  ok(Number(directives("TimeoutStopSec")[0]) > EXIT_S);
});

// Containers

const dockerfile = README.sample("dockerfile", "FROM denoland/deno");

/** Builds the image of the page in a folder. */
function build(to: string): Promise<Image> {
  return buildImage(dockerfile, { from: ROOT, to, path: PATH });
}

/** Starts an image on this machine: its entrypoint is Deno, and it is for this machine alone. */
function startImage(image: Image, env: Record<string, string>): Promise<Program> {
  const settings = { ...image.env, ...env, HOST: "127.0.0.1" };
  return Program.start(settings, [Deno.execPath(), ...image.command], image.folder);
}

Deno.test("The steps of the Dockerfile make a service, and its check of health is right", async () => {
  const [from] = parseDockerfile(dockerfile);
  equal(from!.text, `denoland/deno:${Deno.version.deno}`);
  await using folder = new TempFolder();
  const image = await build(folder.path);
  equal(image.env["HOST"], "0.0.0.0");
  const check = async (url: string) => {
    const [deno, ...args] = image.healthCheck.map((text) =>
      text.replace("http://127.0.0.1:8000", url)
    );
    equal(deno, "deno");
    return (await output(Deno.execPath(), args)).code;
  };
  const program = await startImage(image, {});
  try {
    await deliver(program, program);
    ok((await Deno.stat(`${folder.path}/.data/runnel.sqlite`)).isFile, "the log is in the volume");
    equal(await check(program.url), 0);
    program.kill("SIGTERM");
    await eventually("it drains", async () => await check(program.url) !== 0);
    equal(await program.exit(), 0);
  } finally {
    await program[Symbol.asyncDispose]();
  }
});

testWithDenokv("The services of compose.yaml work together", async () => {
  const { services, volumes } = parse(README.sample("yaml", "# compose.yaml"));
  const { kv, runnel } = services;
  deepEqual(Object.keys(volumes), ["kv"]);
  const kvFile = README.sample("dockerfile", "cargo install denokv");
  ok(kvFile.includes('ENTRYPOINT ["denokv"]'));
  // DenoKv starts the server with the same arguments.
  const { serverArguments } = DenoKv;
  const [path, address] = ["/data/kv.sqlite", "0.0.0.0:4512"];
  deepEqual(kv.command, serverArguments(path, address));
  ok(kv.volumes[0].endsWith(path.replace("/kv.sqlite", "")));
  equal(runnel.environment.RUNNEL_KV, `http://kv:${address.split(":")[1]}`);
  equal(runnel.environment.DENO_KV_ACCESS_TOKEN, kv.environment.DENO_KV_ACCESS_TOKEN);
  ok(parseInt(runnel.stop_grace_period) > EXIT_S);

  await using server = await DenoKv.start();
  await using folder = new TempFolder();
  const image = await build(folder.path);
  const token = "a-token-of-your-publishers";
  const env = Object.fromEntries(
    Object.keys(runnel.environment).map((name) => [
      name,
      { ...server.settings, RUNNEL_PUBLISH_TOKENS: token }[name],
    ]),
  ) as Record<string, string>;
  ok(Object.values(env).every((value) => value !== undefined));
  await using one = await startImage(image, env);
  await using other = await startImage(image, env);
  equal(runnel.deploy.replicas, 2);
  await deliver(one, other, token);
});

// Kubernetes

const manifests = parseAllDocuments(README.sample("yaml", "# kubernetes.yaml"))
  // deno-lint-ignore no-explicit-any -- the type check of the test below tells their types
  .map((document) => document.toJS() as any);

/** Modules of the types of Kubernetes, by the version of the API. */
const TYPES: Record<string, string> = {
  v1: "core/v1",
  "apps/v1": "apps/v1",
  "policy/v1": "policy/v1",
};

Deno.test("kubernetes.yaml has the types of Kubernetes, without an unknown field", async () => {
  await using folder = new TempFolder();
  const code = manifests.map(({ apiVersion, kind }, index) =>
    `import type { ${kind} as T${index} } from "npm:kubernetes-types@1.30.0/${
      TYPES[apiVersion]
    }.d.ts";\nexport const m${index}: T${index} = ${JSON.stringify(manifests[index])};\n`
  ).join("");
  const check = async (code: string) => {
    const path = await folder.write("manifests.ts", code);
    return await output(Deno.execPath(), ["check", "-q", "--no-lock", path]);
  };
  const good = await check(code);
  equal(good.code, 0, good.text);
  const bad = await check(code.replace('"readinessProbe"', '"readynessProbe"'));
  match(bad.text, /readynessProbe\W+ does not exist/);
});

Deno.test("kubernetes.yaml refers to what is there, and leaves time for a drain", () => {
  const named = (kind: string, name: string) =>
    manifests.find((each) => each.kind === kind && each.metadata.name === name);
  const { template } = named("Deployment", "runnel").spec;
  const [runnel] = template.spec.containers;
  const [denokv] = named("StatefulSet", "denokv").spec.template.spec.containers;
  deepEqual(denokv.args, DenoKv.serverArguments("/data/kv.sqlite", "0.0.0.0:4512"));
  for (const app of ["runnel", "denokv"]) {
    deepEqual(named("Service", app).spec.selector, { app });
  }
  const port = named("Service", "denokv").spec.ports[0].port;
  equal(
    runnel.env.find(({ name }: { name: string }) => name === "RUNNEL_KV").value,
    `http://denokv:${port}`,
  );
  const secret = named("Secret", "runnel");
  ok(Object.hasOwn(secret.stringData, denokv.env[0].valueFrom.secretKeyRef.key));
  equal(runnel.envFrom[0].secretRef.name, "runnel");
  deepEqual([runnel.livenessProbe.httpGet.path, runnel.readinessProbe.httpGet.path], [
    "/healthz",
    "/readyz",
  ]);
  // As the log has 3 seconds to answer.
  ok(runnel.readinessProbe.timeoutSeconds > 3);
  const [, pause] = runnel.lifecycle.preStop.exec.command;
  ok(template.spec.terminationGracePeriodSeconds > Number(pause) + EXIT_S);
  ok(dockerfile.includes(`:${template.spec.securityContext.runAsUser} .data`));
});

// Alerts

const alerts = README.sample("yaml", "# alerts.yaml");

Deno.test("alerts.yaml has rules with a severity and a sentence, and names headings that exist", () => {
  const rules = parse(alerts).groups.flatMap(({ rules }: { rules: unknown[] }) => rules);
  ok(rules.length > 0);
  for (const { alert, expr, labels, annotations } of rules) {
    ok(expr, alert);
    match(labels.severity, /^(page|ticket)$/);
    match(annotations.summary, /^[A-Z\d].*[.?]$/);
    for (const [, heading] of annotations.summary.matchAll(/"(When [^"]+)"/g)) {
      ok(README.text.includes(`\n### ${heading}\n`), heading);
    }
  }
});

/** Endings of names on the page, by the kind of an instrument. */
const ENDINGS: Record<string, string[]> = {
  counter: ["_total"],
  histogram: ["_bucket", "_sum", "_count"],
};

Deno.test("alerts.yaml uses metrics of the service, and values that their labels have", () => {
  const labels = new Map(
    Object.values(INSTRUMENTS).flatMap((definition) =>
      (ENDINGS[definition.kind] ?? [""]).map((ending): [string, readonly string[]] => [
        metricName(definition) + ending,
        definition.labels,
      ])
    ),
  );
  const used = [...alerts.matchAll(/\b(runnel_\w+)(?:\{\w+=~"([^"]*)"\})?/g)];
  ok(used.length > 5);
  for (const [, name, values] of used) {
    ok(labels.has(name!), name);
    for (const value of values?.split("|") ?? []) ok(labels.get(name!)!.includes(value), value);
  }
});

/**
 * Incidents that begin in the fifth minute: values of the series, four in a minute, in the
 * notation of promtool, and the minutes in which alerts fire.
 */
const incidents: [what: string, series: Record<string, string>, minutes: string[]][] = [
  [
    "a store that fails for three minutes",
    { runnel_store_outage_seconds: "0x19 15+15x11 0x40" },
    ["RunnelStoreFails 6-7"],
  ],
  ["a store that fails for 45 seconds", { runnel_store_outage_seconds: "0x19 15+15x2 0x40" }, []],
  [
    "publishes that fail for five minutes",
    {
      'runnel_publishes_total{outcome="stored"}': "0+75x20 1500x19 1575+75x30",
      'runnel_publishes_total{outcome="unavailable"}': "0x20 75+75x19 1500x30",
    },
    ["RunnelRefusesPublishes 9-11"],
  ],
  [
    "publishes that fail for 45 seconds",
    {
      'runnel_publishes_total{outcome="stored"}': "0+75x20 1500x2 1575+75x40",
      'runnel_publishes_total{outcome="unavailable"}': "0x20 75+75x2 225x40",
    },
    [],
  ],
  [
    "a canary that is refused for five minutes",
    {
      'runnel_canary_rounds_total{outcome="delivered"}': "0+1.5x20 30x19 31.5+1.5x30",
      'runnel_canary_rounds_total{outcome="failed"}': "0x20 1.5+1.5x19 30x30",
      'runnel_canary_rounds_total{outcome="lost"}': "0x70",
    },
    ["RunnelUnreachable 9-10"],
  ],
  [
    "open files that run out for five minutes",
    { runnel_accept_failures_total: "0x20 5+5x19 100x30" },
    ["RunnelOpenFiles 9-11"],
  ],
  [
    "a certificate that is renewed a day before it expires",
    { runnel_certificate_expiry_timestamp_seconds: "86400x99 8640000x20" },
    ["RunnelCertificate 15-24"],
  ],
];

testWithRequirements(
  [promtool],
  "the alerts fire while an outage lasts, and not later",
  async () => {
    await using folder = new TempFolder();
    await folder.write("alerts.yaml", alerts);
    const names = [...alerts.matchAll(/alert: (\w+)/g)].map(([, name]) => name!);
    const firing = (found: readonly string[], minute: number) =>
      found.flatMap((line) => {
        const [, name, from, to] = /^(\w+) (\d+)-(\d+)$/.exec(line)!;
        return minute >= Number(from) && minute <= Number(to) ? [name!] : [];
      });
    const tests = incidents.map(([name, series, minutes]) => ({
      name,
      interval: "15s",
      input_series: Object.entries(series).map(([series, values]) => ({
        series: series.includes("{")
          ? series.replace("{", '{instance="i",')
          : `${series}{instance="i"}`,
        values,
      })),
      promql_expr_test: Array.from({ length: 30 }, (_, minute) => ({
        expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
        eval_time: `${minute}m`,
        exp_samples: firing(minutes, minute).map((alertname) => ({
          labels: `{alertname="${alertname}"}`,
          value: 1,
        })),
      })),
    }));
    ok(
      incidents.flatMap(([, , lines]) => lines).every((line) =>
        names.includes(line.split(" ")[0]!)
      ),
    );
    const file = await folder.write(
      "tests.yaml",
      JSON.stringify({ rule_files: ["alerts.yaml"], evaluation_interval: "15s", tests }),
    );
    const { code, text } = await output("promtool", ["test", "rules", file]);
    equal(code, 0, text);
  },
);

testWithRequirements([promtool], "Prometheus takes the rules of alerts.yaml", async () => {
  await using folder = new TempFolder();
  const path = await folder.write("alerts.yaml", alerts);
  const { code, text } = await output("promtool", ["check", "rules", path]);
  equal(code, 0, text);
  match(text, /SUCCESS: \d+ rules found/);
});
