#if defined(__linux__) || defined(__APPLE__)

#include "core/threads/signals_blocked.h"

#include <pthread.h>

#include <csignal>
#include <cstring>
#include <initializer_list>

namespace nomyo {

SignalsBlocked::SignalsBlocked(Which which) noexcept : former_{} {
  static_assert(sizeof(sigset_t) <= sizeof former_);
  sigset_t all;
  sigset_t former;
  sigfillset(&all);
  if (which == kAllButFaults) {
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&all, fault);
  }
  pthread_sigmask(SIG_BLOCK, &all, &former);
  std::memcpy(former_, &former, sizeof former);
}

SignalsBlocked::~SignalsBlocked() {
  sigset_t former;
  std::memcpy(&former, former_, sizeof former);
  pthread_sigmask(SIG_SETMASK, &former, nullptr);
}

}  // namespace nomyo

#else
#error "This file is for Linux and macOS: native/CMakeLists.txt takes each system's own."
#endif
