// node test/support/registry.mjs TARBALL: a registry on loopback that has one package, the tarball's, and sends whoever
// asks for another to the configured registry. Prints its address. Ends with its standard input.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const [tarball] = process.argv.slice(2);
const bytes = readFileSync(tarball);
const manifest = JSON.parse(execFileSync("tar", ["-xzOf", tarball, "package/package.json"], { encoding: "utf8" }));
const { name, version } = manifest;
const upstream = execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim().replace(/\/$/, "");
const digest = (algorithm, encoding) => createHash(algorithm).update(bytes).digest(encoding);

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://registry");
  if (pathname === `/${name}`) {
    const dist = {
      tarball: `http://${request.headers.host}/${name}/-/${name}-${version}.tgz`,
      integrity: `sha512-${digest("sha512", "base64")}`,
      shasum: digest("sha1", "hex"),
    };
    const document = { name, "dist-tags": { latest: version }, versions: { [version]: { ...manifest, dist } } };
    // Long ago, so that no manager finds the release too young to be trusted.
    document.time = { [version]: "2020-01-01T00:00:00.000Z", modified: "2020-01-01T00:00:00.000Z" };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document));
  } else if (pathname === `/${name}/-/${name}-${version}.tgz`) {
    response.writeHead(200, { "content-type": "application/octet-stream" }).end(bytes);
  } else if (request.method === "GET") {
    response.writeHead(302, { location: upstream + request.url }).end();
  } else {
    // Audits and the like: there is nothing to know.
    response.writeHead(404).end();
  }
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.stdin.on("end", () => process.exit()).resume();
