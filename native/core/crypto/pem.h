// PEM (RFC 7468), read strictly: one block, nothing but white space around it, no headers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

struct PemBlock {
  std::string label;  // e.g. "PRIVATE KEY"
  SecureBuffer der;
};

// ReadPem decodes the one block of `text`, of any length. Errors: kKeyFormat with what is wrong; kMemoryLock,
// kOutOfMemory. Any thread.
Result<PemBlock> ReadPem(std::span<const std::uint8_t> text);

// WritePem encodes `der` in lines of 64 characters, with a final newline. Errors: kMemoryLock, kOutOfMemory. Any
// thread.
Result<SecureBuffer> WritePem(std::string_view label, std::span<const std::uint8_t> der);

}  // namespace nomyo
