// node --require …: what goes to the hosted service goes to a port of this machine (HOSTED_SERVICE_PORT), by TLS as it
// would there; and a connection to anywhere else but this machine is refused, so that a document that is tried sends
// nothing out.
"use strict";
const net = require("node:net");

const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function (...args) {
  // Node's own callers hand over an array that they have normalised.
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (typeof options === "object" && options !== null && typeof options.path !== "string") {
    if (options.host === "api.nomyo.ai") {
      Object.assign(options, { host: "127.0.0.1", port: Number(process.env.HOSTED_SERVICE_PORT) });
    } else if (!["127.0.0.1", "localhost", "::1"].includes(options.host ?? "localhost")) {
      throw new Error(`A document's code connects to ${options.host}`);
    }
  }
  return connect.apply(this, args);
};
