/** What is said of memory protection on machines other than this one: the addon's answers are made up. */
import { NomyoError } from "../../../lib/errors.js";
import { getMemoryProtectionInfo, hardenProcess } from "../../../lib/memory/protection.js";
import { native } from "../../../lib/native.js";
import type { MemoryInfo } from "../../../lib/native.js";

const real = native.memoryInfo();
afterEach(() => jest.restoreAllMocks());

test.each<[Partial<MemoryInfo>, string]>([
  [{ degraded: false, mechanism: "memfd_secret" }, "required"],
  [{ degraded: false, mechanism: "mlock" }, "required"],
  [{ degraded: true, mechanism: "mlock" }, "preferred"],
  [{ degraded: false, mechanism: "none" }, "preferred"],
])("%j meets %s at most", (state, lockingMet) => {
  jest.spyOn(native, "memoryInfo").mockReturnValue({ ...real, ...state });
  expect(getMemoryProtectionInfo()).toMatchObject({ ...state, lockingMet });
});

test("hardenProcess throws the package's own error where there is no such thing", () => {
  const harden = jest.spyOn(native, "hardenProcess").mockImplementation(() => {
    throw Object.assign(new Error("Not on this system."), { code: "UNSUPPORTED" });
  });
  expect(() => hardenProcess()).toThrow(new NomyoError("Not on this system.", "UNSUPPORTED"));
  harden.mockImplementation(() => undefined);
  hardenProcess();
  expect(harden).toHaveBeenCalledTimes(2);
});
