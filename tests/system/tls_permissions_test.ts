import { match, strictEqual as equal } from "node:assert/strict";
import { FIRST } from "../support/certificates/certificates.ts";
import { Program } from "../support/programs/program.ts";
import { findReadme } from "../support/readme.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";

/** Search path on which a shell finds the Deno that runs this test. */
const PATH = `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}`;

Deno.test("CertificateFiles.open() names a command that works for files outside the permissions", async () => {
  await using folder = new TempFolder();
  // As certbot does: a folder with links to the files of another one.
  await Deno.mkdir(`${folder.path}/archive`);
  await Deno.mkdir(`${folder.path}/live/it's one`, { recursive: true });
  const settings: Record<string, string> = { RUNNEL_KV: ":memory:" };
  for (const name of ["cert", "key"] as const) {
    await Deno.writeTextFile(`${folder.path}/archive/${name}1.pem`, FIRST[name]);
    const link = `${folder.path}/live/it's one/${name}.pem`;
    await Deno.symlink(`../../archive/${name}1.pem`, link);
    settings[`RUNNEL_TLS_${name.toUpperCase()}`] = link;
  }
  const { code, lines } = await Program.startExpectingFailure(settings);
  equal(code, 1);
  const [, command] =
    /^Cannot start: RUNNEL_TLS_CERT is "[^"]+", for which Deno has no permission\. Copy both files into \.data, or start with: (.*)$/
      .exec(lines.join("\n"))!;
  await using program = await Program.start(
    { PATH, ...settings },
    ["/bin/sh", "-c", `exec env ${command}`],
  );
  match(program.url, /^https:/);
  using client = Deno.createHttpClient({ caCerts: [FIRST.cert] });
  const page = await fetch(`${program.url}/`, { client, headers: { Accept: "text/html" } });
  equal(page.status, 200, await page.text());
});

Deno.test("The README's command for the files of certbot starts the service", async () => {
  await using folder = new TempFolder();
  await folder.write("fullchain.pem", FIRST.cert);
  await folder.write("privkey.pem", FIRST.key);
  // A part of a list is no sample of its own.
  const { text } = findReadme("lib/service/README.md");
  const [, sample] = /```sh\n( *RUNNEL_TLS_CERT=\/etc[^`]+)```/.exec(text)!;
  const command = sample!.replaceAll("/etc/letsencrypt/live/example.com", folder.path);
  await using program = await Program.start(
    { PATH, RUNNEL_KV: ":memory:" },
    ["/bin/sh", "-c", `exec env ${command.trim()}`],
  );
  match(program.url, /^https:/);
});
