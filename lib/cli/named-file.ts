/** A file that a flag names, and that holds no secret of ours. */
import { readFile } from "node:fs/promises";
import { ConfigurationError } from "../errors.js";

/** All of `file`. Throws a {@link ConfigurationError} of `option` that says why when it cannot be read. */
export async function readNamed(option: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw new ConfigurationError(option, `The file ${file} cannot be read (${why}).`);
  }
}
