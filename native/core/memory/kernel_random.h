// KernelRandom: random bytes from the operating system, written straight to where they are needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nomyo {

// KernelRandom fills `out` from the kernel's generator (getrandom(2), getentropy(2), BCryptGenRandom) without a buffer
// or a generator state of its own, so that there is none to protect. Returns false, with `out` wiped, when the kernel
// has none to give (a seccomp filter, an uninitialised generator in early boot): the caller must then fail. Any thread.
[[nodiscard]] bool KernelRandom(std::span<std::uint8_t> out) noexcept;

// KernelRandomPart is one call of the system's: it fills the front of `out`, which is not empty, and returns how many
// bytes that were; 0 when there are none to be had. Any thread.
[[nodiscard]] std::size_t KernelRandomPart(std::span<std::uint8_t> out) noexcept;

}  // namespace nomyo
