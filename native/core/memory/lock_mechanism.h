// LockMechanism: the ways in which memory is locked. Any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace nomyo {

enum class LockMechanism {
  kNone,         // not locked
  kMemfdSecret,  // memfd_secret(2): locked, and hidden from everything outside the process
  kMlock,        // mlock(2): locked
  kVirtualLock,  // VirtualLock of Windows
};
inline constexpr std::size_t kLockMechanisms = 4;

constexpr std::string_view NameOf(LockMechanism mechanism) {
  constexpr std::string_view kNames[kLockMechanisms] = {"none", "memfd_secret", "mlock", "VirtualLock"};
  return kNames[static_cast<std::size_t>(mechanism)];
}

}  // namespace nomyo
