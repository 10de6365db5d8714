// YieldToJavaScript: how a worker thread stands back for the JavaScript thread.
#pragma once

namespace nomyo {

// With as many of these threads at work as there are cores, the JavaScript thread would wait for the end of a time
// slice of theirs, or for the next tick of the clock (4 ms at 250 Hz), before it could handle an event. Two things let
// it go first whenever it has something to do, and cost nothing where a core is idle: a little niceness (5 of 19), and
// a time slice a little longer than the usual one (2.8 ms at most), since a thread that wakes may interrupt one with a
// longer slice than its own. With both, and the yield in Work, waits of over 1 ms became a third as many (measured with
// perf sched on Linux 6.18). SCHED_IDLE would be better still for the JavaScript thread, but on a machine with other
// work to do these threads would starve.
//
// It is for the calling thread, for good. Where the system has no such things (macOS, Windows) it does nothing.
void YieldToJavaScript() noexcept;

}  // namespace nomyo
