#include "core/memory/kernel_random.h"

#include "core/memory/cleanse.h"

namespace nomyo {

bool KernelRandom(std::span<std::uint8_t> out) noexcept {
  std::span<std::uint8_t> left = out;
  while (!left.empty()) {
    const std::size_t part = KernelRandomPart(left);
    if (part == 0) {
      Cleanse(out.data(), out.size());
      return false;
    }
    left = left.subspan(part);
  }
  return true;
}

}  // namespace nomyo
