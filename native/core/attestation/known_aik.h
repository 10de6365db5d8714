// KnownAik: what an AIK says by itself, and the few that signed last.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/attestation/aik.h"
#include "core/result.h"
#include "core/tpm/structures.h"
#include "core/tpm/tss_mu.h"

namespace nomyo {

// KnownAik holds all that follows from the bytes of a TPM2B_PUBLIC alone: no verdict on any quote. It is a public key,
// so nothing of it is a secret; several threads may look at one at a time.
struct KnownAik {
  Bytes sent;       // as the server sent it
  PublicArea area;  // its views are of `sent`
  Status type;      // AIK_TYPE, as far as the key alone decides it
  std::optional<AikKey> key;
  std::string pem;                     // with a key
  Bytes name;                          // empty when nameAlg is not one that an AIK may have
  AikScheme scheme{TPM2_ALG_NULL, 0};  // the key's own
  EvpPkeyCtx check;                    // of a signature with that scheme (OfflineEngine::Prepare); null without

  KnownAik() = default;
  KnownAik(const KnownAik&) = delete;
  KnownAik& operator=(const KnownAik&) = delete;

  // IsQuick tells whether a signature of this key is checked in less time than handing it to another thread takes
  // (RSA, P-256). False without a key.
  bool IsQuick() const;
};

// ReadAik reads TPM2B_PUBLIC. One that was kept (KeepAik) with exactly these bytes is not read again: importing a key
// and writing it as PEM takes longer than checking an RSA signature. Any thread. Errors: kInvalidArgument with a
// sentence, when the bytes are no such structure; kCrypto, kMemoryLock, kOutOfMemory.
Result<std::shared_ptr<const KnownAik>> ReadAik(const TssMu& mu, ByteView sent);

// FindKeptAik returns the one that was kept with exactly these bytes; null when there is none. Any thread.
std::shared_ptr<const KnownAik> FindKeptAik(ByteView sent);

// KeepAik keeps one whose signature over a quote was right, so that nobody fills the few places (kKeptAiks) with keys
// that he does not have. The one that was not used for longest goes. Any thread.
void KeepAik(std::shared_ptr<const KnownAik> aik);

inline constexpr std::size_t kKeptAiks = 8;

}  // namespace nomyo
