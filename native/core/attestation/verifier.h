// The verifier: every check of docs/attestation.md, in its order, over one block.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "core/attestation/policy.h"
#include "core/attestation/report.h"
#include "core/attestation/signature_engine.h"
#include "core/result.h"

namespace nomyo {

// VerifyAttestation judges `block`, the JSON text of whatever a server sent as `tpm_attestation`. All checks that can
// run do run; the first that fails, in the order of Check, decides. It starts from "not verified" and answers with a
// report whatever the block holds.
//
// `qualifying_data` is what the quote must have been made over: for an answer SHA-256(payload id)[:16]; an empty one is
// never matched, since it would let any old quote pass. `engine`, when not null, is asked after our libcrypto and must
// not contradict it; `kUnsupported` is a failure only if the policy demands the engine.
//
// Errors, none of them the block's: kTssMissing (libtss2-mu, or the engine's library), kTpm (the engine's TPM did not
// answer), kCrypto, kMemoryLock and kOutOfMemory. Any thread; takes well under a millisecond unless the engine blocks.
Result<Report> VerifyAttestation(std::string_view block, ByteView qualifying_data, const Policy& policy,
                                 SignatureEngine* engine);

// The largest block that VerifyIfQuick looks at (16 KiB: one of 24 PCRs takes 3).
inline constexpr std::size_t kMostQuickBytes = std::size_t{16} * 1024;

// VerifyIfQuick is VerifyAttestation without an engine for a key that was kept (core/attestation/known_aik.h) and is
// quick, so that nothing is loaded and the whole takes less than handing it to another thread: at most some 0.1 ms.
// Nothing where that is not so. All checks are the same ones. Errors: kTssMissing, kCrypto, kMemoryLock and
// kOutOfMemory, as there. Any thread.
Result<std::optional<Report>> VerifyIfQuick(std::string_view block, ByteView qualifying_data, const Policy& policy);

}  // namespace nomyo
