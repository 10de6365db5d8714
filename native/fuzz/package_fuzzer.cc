// ReadPackage and DecodePackage on any bytes.
#include <cstdint>

#include "core/envelope/opener.h"
#include "core/memory/lock_policy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  nomyo::LockPolicyScope scope(nomyo::LockPolicy::kPreferred);
  static_cast<void>(nomyo::DecodePackage({data, size}, {1 << 20, 64}));
  return 0;
}
