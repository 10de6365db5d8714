// The README as npm's page shows it: alone, so that a link to a file of the repository must be an address there, or,
// while package.json has no `repository`, the file's name.

/**
 * `[text](FILE#heading)`: an address, or `text` and the file's name. Addresses and headings of the page itself stay.
 */
export function npmReadme(text, manifest) {
  const repository = /(https:\/\/.+?)(?:\.git)?$/.exec(manifest.repository?.url ?? "")?.[1];
  return text.replace(/\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)/g, (_, shown, path) => {
    if (repository !== undefined) return `[${shown}](${repository}/blob/v${manifest.version}/${path})`;
    const file = path.replace(/#.*/, "");
    return shown.replaceAll("`", "") === file ? `\`${file}\`` : `${shown} (\`${file}\`)`;
  });
}
