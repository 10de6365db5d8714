// Text in the pool: between UTF-16, as JavaScript has it, and UTF-8, as packages have it.
#pragma once

#include <cstdint>
#include <span>

#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

// Utf8FromUtf16 returns the UTF-8 form of `text` in the pool. Errors: kUtf8 for a surrogate without its partner (it has
// no UTF-8 form, and a replacement character in a password or a prompt would be a silent change); kMemoryLock,
// kOutOfMemory. The source is the caller's to wipe. Any thread.
Result<SecureBuffer> Utf8FromUtf16(std::span<const char16_t> text);

// IsUtf8 checks `bytes` as RFC 3629 has it: shortest forms only, no surrogates, nothing over U+10FFFF. Any thread.
bool IsUtf8(std::span<const std::uint8_t> bytes) noexcept;

}  // namespace nomyo
