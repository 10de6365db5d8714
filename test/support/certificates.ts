/** Test certificates, made by OpenSSL's command. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  readonly ca: string;
  readonly caFile: string;
  /**
   * For 127.0.0.1 and localhost; and for the hosted service, whose part a server of this machine plays
   * (hosted-service-here.cjs).
   */
  readonly server: Certificate;
  /** For another host name. */
  readonly otherName: Certificate;
  readonly expired: Certificate;
  readonly client: Certificate;
  remove(): void;
}

export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "certificates-"));
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...newKey, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2");

  // `openssl ca` is the command of OpenSSL 3.0 that can set the dates.
  writeFileSync(file("index.txt"), "");
  writeFileSync(
    file("ca.cnf"),
    "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n" +
      "unique_subject=no\n[p]\ncommonName=supplied\n",
  );
  const issue = (name: string, extension: string, start: string, end: string): Certificate => {
    openssl("req", "-new", ...newKey, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    writeFileSync(file(`${name}.ext`), extension);
    const dates = ["-startdate", start, "-enddate", end, "-extfile", `${name}.ext`];
    const signer = ["-cert", "ca.pem", "-keyfile", "ca.key", "-config", "ca.cnf", "-batch", "-notext"];
    openssl("ca", ...signer, ...dates, "-in", `${name}.csr`, "-out", `${name}.pem`);
    return { cert: readFileSync(file(`${name}.pem`), "utf8"), key: readFileSync(file(`${name}.key`), "utf8") };
  };
  const day = (offset: number): string =>
    new Date(Date.now() + offset * 86_400_000).toISOString().replace(/[-:T]/g, "").slice(0, 14) + "Z";
  const here = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:api.nomyo.ai\n";
  return {
    ca: readFileSync(file("ca.pem"), "utf8"),
    caFile: file("ca.pem"),
    server: issue("server", here, day(-1), day(2)),
    otherName: issue("other", "subjectAltName=DNS:elsewhere.example\n", day(-1), day(2)),
    expired: issue("expired", here, day(-3), day(-1)),
    client: issue("client", "extendedKeyUsage=clientAuth\n", day(-1), day(2)),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
