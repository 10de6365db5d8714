// The folder that is delivered: the executable, and the package beside it.
import { copyFileSync, cpSync, mkdirSync, readFileSync } from "node:fs";
import { inject } from "postject";

mkdirSync("out/app", { recursive: true });
copyFileSync(process.execPath, "out/app/program");
await inject("out/app/program", "NODE_SEA_BLOB", readFileSync("out/program.blob"), {
  sentinelFuse: "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2",
});
cpSync("node_modules/nomyo-native", "out/app/node_modules/nomyo-native", { recursive: true });
