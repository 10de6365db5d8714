// What the process as a whole lets out of its memory: core dumps, debuggers, swap. Any thread.
#pragma once

#include <optional>

#include "core/result.h"

namespace nomyo {

// HardenProcess turns core dumps off for good and, on Linux, makes the process not dumpable (prctl PR_SET_DUMPABLE):
// other processes of the same account can then not attach to it or read its memory. kUnsupported where there is no such
// thing. It cannot be undone for core dumps.
Status HardenProcess();

// SwapEnabled says whether the system has swap; empty when it cannot be told.
std::optional<bool> SwapEnabled();

// CoreDumpsEnabled says whether a crash of this process would write its memory out; empty when it cannot be told.
std::optional<bool> CoreDumpsEnabled();

// PtraceScope returns Linux's kernel.yama.ptrace_scope (0 to 3); empty where there is none.
std::optional<int> PtraceScope();

}  // namespace nomyo
