/**
 * Folders outside of the project.
 *
 * @module
 */

/** Folder for one test. */
export class TempFolder implements AsyncDisposable {
  /** Path of the folder. */
  readonly path: string = Deno.makeTempDirSync();

  /** Writes a file, and returns its path. */
  async write(name: string, content: string): Promise<string> {
    const path = `${this.path}/${name}`;
    await Deno.writeTextFile(path, content);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
