/** Whose a file with a secret in it is, by what the system says of it. */
import { openToOthers } from "../../../lib/keys/secret-file.js";

const of = (mode: number, uid = 0, gid = 0) => ({ mode: BigInt(0o100000 | mode), uid: BigInt(uid), gid: BigInt(gid) });

afterEach(() => jest.restoreAllMocks());

function runBy(uid: number, groups: readonly number[]): void {
  jest.spyOn(process, "getuid").mockReturnValue(uid);
  jest.spyOn(process, "getgroups").mockReturnValue([...groups]);
}

describe("a file with a secret in it", () => {
  test.each([
    ["its owner alone", of(0o600, 1000, 1000)],
    ["its owner alone, who may only read", of(0o400)],
    ["systemd's credential: root, its group, and who is on its access list", of(0o440)],
  ])("is private: %s", (_, file) => {
    runBy(1000, [1000, 109]);
    expect(openToOthers(file)).toBe(false);
  });

  test.each([
    ["every account", of(0o444)],
    ["root's group, of somebody's file", of(0o440, 1000, 0)],
    ["another group, of root's file", of(0o440, 0, 1000)],
    ["root's group, to write", of(0o460)],
    ["root's group, to run", of(0o450)],
    ["every account, but not the group", of(0o404)],
    ["root's group, of a file that its owner may write", of(0o640)],
  ])("is open to others: %s", (_, file) => {
    runBy(1000, [1000, 109]);
    expect(openToOthers(file)).toBe(true);
  });

  test("of root's group is open where root is not alone in it", () => {
    runBy(1000, [0]);
    expect(openToOthers(of(0o440))).toBe(true);
  });

  test("of root's group is private to root", () => {
    runBy(0, [0]);
    expect(openToOthers(of(0o440))).toBe(false);
  });
});
