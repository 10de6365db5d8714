/** When a client says that memory cannot be locked: the addon's memory is a made-up one here. */
import diagnosticsChannel from "node:diagnostics_channel";
import { MemoryCheck } from "../../../lib/client/memory-check.js";
import { MemoryProtectionError } from "../../../lib/errors.js";
import { native } from "../../../lib/native.js";
import type { MemoryInfo } from "../../../lib/native.js";

const logger = { debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn() };
const probe = jest.spyOn(native, "memoryProbe");
const info = jest.spyOn(native, "memoryInfo");
const setbacks = jest.spyOn(native, "memorySetbacks");
// What an earlier test of this process met is none of this machine's.
const real = { ...native.memoryInfo(), lockRefused: null };

function machine(state: Partial<MemoryInfo>, bytesInUse = 0): void {
  info.mockReturnValue({ ...real, ...state, stats: { ...real.stats, bytesInUse } });
  setbacks.mockReturnValue({ degraded: state.degraded === true, weakerBecause: state.weakerBecause ?? null });
}
beforeEach(() => {
  jest.clearAllMocks();
  probe.mockImplementation(() => undefined);
  machine({ degraded: false });
});
afterAll(() => jest.restoreAllMocks());

test.each(["required", "preferred"] as const)("%s tries what a client needs beyond what is in use", (locking) => {
  machine({ degraded: false }, 100 * 1024);
  new MemoryCheck(locking, logger);
  expect(probe.mock.calls).toEqual([[700 * 1024, locking]]);
  expect(logger.warn).not.toHaveBeenCalled();
});

test("nothing is tried where the process has more in use already, or under off", () => {
  machine({ degraded: true }, 800 * 1024);
  new MemoryCheck("required", logger);
  machine({ degraded: true });
  new MemoryCheck("off", logger).report();
  expect(probe).not.toHaveBeenCalled();
  expect(logger.warn).not.toHaveBeenCalled();
});

test("required throws the addon's sentence as a MemoryProtectionError", () => {
  probe.mockImplementation(() => {
    throw Object.assign(new Error("Raise the limit."), { code: "MEMORY_LOCK" });
  });
  expect(() => new MemoryCheck("required", logger)).toThrow(new MemoryProtectionError("Raise the limit."));
});

test("preferred warns once, with the limit, when memory is not locked from the start", () => {
  machine({ degraded: true, lockLimitSoft: 65_536 });
  const check = new MemoryCheck("preferred", logger);
  check.report();
  expect(logger.warn.mock.calls).toEqual([
    [expect.stringMatching(/^Not all secrets are in locked memory.*RLIMIT_MEMLOCK/), { lockLimit: 65_536 }],
  ]);
});

test("preferred warns when it happens later, without a limit where there is none to tell", () => {
  const check = new MemoryCheck("preferred", logger);
  check.report();
  expect(logger.warn).not.toHaveBeenCalled();
  machine({ degraded: true, lockLimitSoft: null });
  check.report();
  check.report();
  expect(logger.warn.mock.calls).toEqual([[expect.any(String), { lockLimit: undefined }]]);
});

test("preferred names the call that a jail refuses, and does not blame the limit", () => {
  machine({ degraded: true, lockRefused: { call: "mlock", error: "EPERM", errno: 1, cause: "jail" } });
  new MemoryCheck("preferred", logger);
  const [message, fields] = logger.warn.mock.calls[0] as [string, object];
  expect(message).toMatch(/refuses the call \(mlock: EPERM \(1\)\) though the lock limit is not reached/);
  expect(message).not.toMatch(/too low|raise/i);
  expect(fields).toMatchObject({ call: "mlock", error: "EPERM" });
});

describe("a weaker mechanism than the first choice", () => {
  const because = { call: "memfd_secret", error: "EMFILE", errno: 24, cause: "descriptors" } as const;

  test.each(["required", "preferred"] as const)(
    "is told once to the logger and to the channel, under %s",
    (locking) => {
      const messages: unknown[] = [];
      const listener = (message: unknown): void => void messages.push(message);
      diagnosticsChannel.subscribe("nomyo:memory", listener);
      try {
        const check = new MemoryCheck(locking, logger);
        expect(logger.warn).not.toHaveBeenCalled();
        machine({ weakerBecause: because, mechanism: "mixed" });
        check.report();
        check.report();
      } finally {
        diagnosticsChannel.unsubscribe("nomyo:memory", listener);
      }
      expect(logger.warn.mock.calls).toEqual([
        [expect.stringMatching(/locked by mlock, not memfd_secret.*memfd_secret: EMFILE \(24\)/), expect.anything()],
      ]);
      expect(messages).toEqual([{ event: "weaker-mechanism", mechanism: "mixed", because }]);
    },
  );

  test("concerns nobody under off", () => {
    machine({ weakerBecause: because });
    new MemoryCheck("off", logger).report();
    expect(logger.warn).not.toHaveBeenCalled();
  });
});
