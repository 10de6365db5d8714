import { Admission } from "../../../lib/http/admission.js";
import type { Ticket } from "../../../lib/http/admission.js";
import type { Refusal } from "../../../lib/http/refusal.js";

const statusOf = (act: () => unknown): number => {
  try {
    act();
  } catch (error) {
    return (error as Refusal).status;
  }
  return 0;
};
const running = (admission: Admission, key: number): Ticket => {
  const ticket = admission.admit(key);
  ticket.run();
  return ticket;
};

describe("Admission", () => {
  test("bodies that do not come take no slot", () => {
    const admission = new Admission({ maxRequests: 2, maxRequestsPerKey: 2 });
    for (let i = 0; i < 6; i += 1) admission.admit(0);
    running(admission, 0);
    running(admission, 0);
    expect(admission.underWay).toBe(8);
    expect(statusOf(() => admission.admit(0))).toBe(503);
  });

  test("an answer that is sent takes no slot, and is under way until it has left", () => {
    const admission = new Admission({ maxRequests: 1, maxRequestsPerKey: 1 });
    const sending = Array.from({ length: 4 }, () => {
      const ticket = running(admission, 0);
      ticket.send();
      return ticket;
    });
    expect(admission.underWay).toBe(4);
    expect(statusOf(() => admission.admit(0))).toBe(503);
    sending[0]!.leave();
    running(admission, 0).leave();
    expect(() => admission.admit(0).send()).toThrow("once");
    expect(admission.underWay).toBe(4);
  });

  test("one key has its share, of bodies and of slots, and leaves the others theirs", () => {
    const admission = new Admission({ maxRequests: 4, maxRequestsPerKey: 2 });
    const stalled = Array.from({ length: 8 }, () => admission.admit(1));
    expect(statusOf(() => admission.admit(1))).toBe(429);
    stalled[0]!.run();
    stalled[1]!.run();
    expect(statusOf(() => stalled[2]!.run())).toBe(429);
    running(admission, 2);
    running(admission, 2);
    expect(statusOf(() => admission.admit(2))).toBe(429);
    expect(statusOf(() => admission.admit(3))).toBe(503);
  });

  test("a request that leaves gives back what it had, once", () => {
    const admission = new Admission({ maxRequests: 1, maxRequestsPerKey: 1 });
    const first = admission.admit(0);
    const second = admission.admit(0);
    first.run();
    expect(statusOf(() => second.run())).toBe(503);
    first.leave();
    first.leave();
    expect(admission.underWay).toBe(1);
    second.run();
    expect(statusOf(() => admission.admit(0))).toBe(503);
    second.leave();
    running(admission, 0);
  });
});
