#include "core/memory/locking.h"

namespace nomyo {
namespace {
thread_local Locking current_locking = Locking::kRequired;
}  // namespace

Locking CurrentLocking() noexcept {
  return current_locking;
}

LockingScope::LockingScope(Locking locking) noexcept : former_(current_locking) {
  current_locking = locking;
}

LockingScope::~LockingScope() {
  current_locking = former_;
}

}  // namespace nomyo
