// Canaries: the words before and behind each allocation that tell whether something wrote over its end.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/memory/poison.h"

namespace nomyo {

inline constexpr std::size_t kCanaryBytes = 16;
// What canaries take of a slot, in bytes: one before the allocation, one right behind its last byte.
inline constexpr std::size_t kCanaryOverhead = 2 * kCanaryBytes;

// A slot is kCanaryOverhead and `size` bytes, aligned to 16; the allocation starts kCanaryBytes after it. Canaries
// depend on a key of this process, on the slot's address and on the size: one that was read elsewhere, or is left from
// another allocation, is not taken for the right one. Any thread, once the key is set; it touches the slot's own bytes
// only.
class Canaries {
 public:
  using Key = std::array<std::uint64_t, 2>;
  enum class State { kWhole, kBrokenBefore, kBrokenBehind };

  void SetKey(const Key& key) noexcept { key_ = key; }

  // Seal writes both canaries. Under AddressSanitizer only the allocation between them may be touched from then on.
  void Seal(std::byte* slot, std::size_t size) const noexcept {
    const Words words = WordsFor(slot, size);
    NOMYO_UNPOISON(slot, kCanaryOverhead + size);
    std::memcpy(slot, &words, kCanaryBytes);
    std::memcpy(slot + kCanaryBytes + size, &words, kCanaryBytes);
    NOMYO_POISON(slot, kCanaryBytes);
    NOMYO_POISON(slot + kCanaryBytes + size, kCanaryBytes);
  }

  // Check tells whether both are as Seal left them, without a branch on where they differ. The whole slot may be
  // touched afterwards.
  State Check(const std::byte* slot, std::size_t size) const noexcept {
    NOMYO_UNPOISON(slot, kCanaryOverhead + size);
    const Words expected = WordsFor(slot, size);
    Words before;
    Words behind;
    std::memcpy(&before, slot, kCanaryBytes);
    std::memcpy(&behind, slot + kCanaryBytes + size, kCanaryBytes);
    if (((before.word[0] ^ expected.word[0]) | (before.word[1] ^ expected.word[1])) != 0) return State::kBrokenBefore;
    if (((behind.word[0] ^ expected.word[0]) | (behind.word[1] ^ expected.word[1])) != 0) return State::kBrokenBehind;
    return State::kWhole;
  }

 private:
  struct Words {
    std::uint64_t word[2];
  };

  Words WordsFor(const std::byte* slot, std::size_t size) const noexcept {
    const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(slot));
    return {{key_[0] ^ address, key_[1] ^ std::rotl(address, 32) ^ size}};
  }

  Key key_{};
};

}  // namespace nomyo
