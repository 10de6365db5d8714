// npm's `prepare` and `prepack`: refuses to make a package of the bare repository, which has no addon. What is
// published is made by scripts/prebuild, and holds neither script. Otherwise `npm install` of a git address succeeds
// with a package that cannot be loaded.
const { npm_lifecycle_event: event, npm_config_user_agent: agent = "", _PACOTE_NO_PREPARE_: ofGit } = process.env;

// In a clone `prepare` runs after each `npm ci`, which is as it should be: npm says by this variable that it prepares a
// git address. Yarn and pnpm do not, but nobody sets up a clone with them (package-lock.json is npm's).
if (event === "prepack" || ofGit !== undefined || !agent.startsWith("npm/")) {
  console.error(
    "nomyo-native cannot be installed from its repository: the native addon would be missing. Install a release from " +
      "the registry " +
      "(npm install nomyo-native), or make a tarball in a clone (scripts/setup, scripts/prebuild --here) and install " +
      "that.",
  );
  process.exit(1);
}
