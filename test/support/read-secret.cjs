/** For subjects: a file's bytes straight from the kernel into locked memory; no Buffer or string ever holds them. */
const { closeSync, fstatSync, openSync, readSync } = require("node:fs");
const { SecureBuffer } = require("../../dist/index.js");

module.exports = function readSecret(path) {
  const file = openSync(path, "r");
  try {
    const secret = SecureBuffer.alloc(fstatSync(file).size);
    secret.use((view) => {
      for (let at = 0; at < view.length;) at += readSync(file, view, at, view.length - at, at);
    });
    return secret;
  } finally {
    closeSync(file);
  }
};
