// Inspection: a block's structures as text for people who look. It verifies nothing.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace nomyo {

// InspectAttestation returns JSON: `quote` (form, magicHex, typeHex and, for a quote, its fields as the TPM wrote
// them), `signature` (scheme, bytes), `aik` (kind, scheme, nameAlg, nameHex, attributes), `pcrBanks`, `pcrs`,
// `certificates` (count). Numbers of 64 bits are strings: `clock` decimal, `firmwareVersion` hex; counters may be
// obfuscated (Part 1 36.7). Errors: kInvalidArgument for a block that fails ATTESTATION_MISSING or
// ATTESTATION_MALFORMED, with its sentence; kTssMissing; kCrypto, kMemoryLock, kOutOfMemory. Any
// thread.
Result<std::string> InspectAttestation(std::string_view block);

}  // namespace nomyo
