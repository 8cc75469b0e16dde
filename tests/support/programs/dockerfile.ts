/**
 * The steps of a Dockerfile, run in a folder of this machine in the place of an image.
 *
 * @module
 */

import { cp } from "node:fs/promises";
import { basename } from "node:path/posix";

/** A step: an instruction and its arguments. */
export interface Step {
  name: string;
  text: string;
}

/** Parses a Dockerfile without stages and continued lines. */
export function parseDockerfile(text: string): Step[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
    const [, name, rest] = /^([A-Z]+) (.*)$/.exec(line)!;
    return { name: name!, text: rest! };
  });
}

/** An image, as far as it runs without a container. */
export interface Image {
  /** Folder that `WORKDIR` stands for. */
  folder: string;
  /** Environment variables. */
  env: Record<string, string>;
  /** Arguments of the entrypoint. */
  command: string[];
  /** Arguments of the check of health. */
  healthCheck: string[];
}

/**
 * Runs the steps: `COPY` from a folder, and `RUN` by a shell, with nothing but `PATH`.
 *
 * @param options `from`: folder of the build. `to`: an empty folder. `path`: the programs
 *   that the base image would have.
 * @throws If a step fails, or is one that this does not know.
 */
export async function buildImage(
  text: string,
  { from, to, path }: { from: string; to: string; path: string },
): Promise<Image> {
  const image: Image = { folder: to, env: {}, command: [], healthCheck: [] };
  for (const { name, text: step } of parseDockerfile(text)) {
    switch (name) {
      case "COPY": {
        const [target, ...sources] = step.split(" ").reverse();
        for (const source of sources) {
          const into = target === "./" ? `${to}/${basename(source)}` : `${to}/${target}`;
          await cp(`${from}/${source}`, into, { recursive: true });
        }
        break;
      }
      case "RUN": {
        const { success, stderr } = await new Deno.Command("/bin/sh", {
          args: ["-c", step],
          cwd: to,
          clearEnv: true,
          env: {
            PATH: path,
            ...image.env,
            ...inherited("DENO_DIR", "NPM_CONFIG_REGISTRY", "HOME"),
          },
        }).output();
        if (!success) throw new Error(`RUN ${step}: ${new TextDecoder().decode(stderr)}`);
        break;
      }
      case "ENV":
        for (const pair of step.split(" ")) {
          const [name, value] = pair.split("=");
          image.env[name!] = value!;
        }
        break;
      case "CMD":
        image.command = JSON.parse(step);
        break;
      case "HEALTHCHECK":
        image.healthCheck = JSON.parse(step.replace(/^.*?CMD /, ""));
        break;
      case "FROM":
      case "WORKDIR":
      case "USER":
      case "VOLUME":
      case "EXPOSE":
        break;
      default:
        throw new Error(`Cannot run ${name}`);
    }
  }
  return image;
}

/** Variables that this machine needs to find the packages, and an image would not. */
function inherited(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}
