/** What `router` and `proxy` do alike, since both serve: TLS, the access log, running until a signal comes. */
import { statSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { SecureContextOptions } from "node:tls";
import { ConfigurationError } from "../errors.js";
import { accessAdvice } from "../keys/access-advice.js";
import { openToOthers } from "../keys/secret-file.js";
import { systemReason } from "../system-reason.js";
import { exitCode, UsageError } from "./exit-code.js";
import { readNamed } from "./named-file.js";
import type { Streams } from "./streams.js";

export interface TlsFlags {
  readonly "tls-cert"?: string;
  readonly "tls-key"?: string;
}

/** The server's certificate and key. Throws when others than the key's owner may read it, as for every private key. */
export async function tlsOf(values: TlsFlags): Promise<{ cert: Buffer; key: Buffer } | undefined> {
  const { "tls-cert": certFile, "tls-key": keyFile } = values;
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) throw new UsageError("--tls-cert and --tls-key go together.");
  const cert = await readNamed("--tls-cert", certFile);
  const key = await readNamed("--tls-key", keyFile);
  if (openToOthers(statSync(keyFile, { bigint: true }))) {
    throw new ConfigurationError(
      "--tls-key",
      `Others than its owner may read ${keyFile}. ` +
        `${accessAdvice(keyFile, "chmod 600", "If it holds a private key, run")}.`,
    );
  }
  checkPair(cert, certFile, key, keyFile);
  return { cert, key };
}

/** OpenSSL's own words ("no start line") tell nobody which file they are about. */
function checkPair(cert: Buffer, certFile: string, key: Buffer, keyFile: string): void {
  const fails = (given: SecureContextOptions): string | undefined => {
    try {
      createSecureContext(given);
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? "unknown error";
    }
  };
  const ofCert = fails({ cert });
  if (ofCert !== undefined) {
    throw new ConfigurationError(
      "--tls-cert",
      `${certFile} is no certificate in PEM form (${ofCert}); it begins with -----BEGIN CERTIFICATE-----.`,
    );
  }
  const ofKey = fails({ key });
  if (ofKey !== undefined) {
    throw new ConfigurationError(
      "--tls-key",
      key.includes("ENCRYPTED")
        ? `${keyFile} is under a password, and nobody is there to type it at a start. Give one without: openssl pkey ` +
            "-in OLD -out NEW"
        : `${keyFile} is no private key in PEM form (${ofKey}).`,
    );
  }
  if (fails({ cert, key }) !== undefined) {
    throw new ConfigurationError(
      "--tls-key",
      `The key in ${keyFile} does not belong to the certificate in ${certFile}.`,
    );
  }
}

/** Starts a server; what Node says where it cannot listen becomes a sentence. */
export async function listening<T>(
  { host = "127.0.0.1", port = "0" }: { readonly host?: string; readonly port?: string },
  start: () => Promise<T>,
): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const { syscall } = error as NodeJS.ErrnoException;
    if (syscall === "getaddrinfo") {
      throw new UsageError(`--host ${host} is no address of this machine, and no name that leads to one.`);
    }
    if (syscall !== "listen" && syscall !== "bind") throw error;
    throw new Error(
      `Nothing can listen at ${host}, port ${port} (${systemReason(error)}). Choose another --port or --host.`,
      { cause: error },
    );
  }
}

/** What an access log tells of a request: sizes, a status and a time. */
interface AccessEntry {
  readonly route: string;
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly milliseconds: number;
}

/** Writes a line of the access log. */
export function accessLogTo({ stderr }: Streams): (entry: AccessEntry) => void {
  return ({ route, status, bytesIn, bytesOut, milliseconds }) =>
    stderr.write(`${new Date().toISOString()} ${route} ${status} in=${bytesIn} out=${bytesOut} ms=${milliseconds}\n`);
}

interface Server {
  close(): Promise<void>;
}

/** Waits until the address is written; when whoever was to learn it did not, the server is closed. */
export async function announced(server: Server, streams: Streams): Promise<void> {
  try {
    await streams.stdout.flush();
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** Serves until a signal comes, and closes the server then; gives the exit code. A second signal ends at once. */
export async function untilSignal(server: Server, log: (message: string) => void): Promise<number> {
  return await new Promise((resolve) => {
    let stopping = false;
    const onSignal = (): void => {
      if (stopping) {
        resolve(exitCode.interrupted);
        return;
      }
      stopping = true;
      log("stopping: requests under way may finish; a second signal ends at once");
      void server.close().then(() => resolve(exitCode.ok));
    };
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, onSignal);
  });
}
