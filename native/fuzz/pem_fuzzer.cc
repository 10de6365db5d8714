// What reads keys: PEM, PKCS#8 (encrypted, too), PKCS#1 and SubjectPublicKeyInfo. The first byte says which. What is
// accepted is written and read again, and must be the same key.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "core/crypto/pem.h"
#include "core/crypto/rsa_key.h"
#include "core/memory/locking.h"

namespace {

void Demand(bool holds) {
  if (!holds) std::abort();
}

using Span = std::span<const std::uint8_t>;

Span Bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

void PublicKeyAgain(const nomyo::RsaPublicKey& key) {
  Demand(key.bits() >= nomyo::kRsaLeastBits && key.bits() <= nomyo::kRsaMostBits);
  if (key.bits() > nomyo::kRsaMostPublicBits) return;
  auto again = nomyo::RsaPublicKey::Import(key.pem(), nomyo::kRsaLeastBits);
  // A private key's own exponent may be larger than a stranger's.
  if (again) Demand(again->pem() == key.pem() && again->spki_sha256() == key.spki_sha256());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const nomyo::LockingScope scope(nomyo::Locking::kPreferred);
  if (size == 0) return 0;
  const Span text(data + 1, size - 1);
  const std::string_view view(reinterpret_cast<const char*>(text.data()), text.size());
  switch (data[0]) {
    case 'm': {
      auto block = nomyo::ReadPem(text);
      if (!block) break;
      auto written = nomyo::WritePem(block->label, block->der.bytes());
      Demand(static_cast<bool>(written));
      auto again = nomyo::ReadPem(written->bytes());
      Demand(again && again->label == block->label && again->der.size() == block->der.size() &&
             std::memcmp(again->der.data(), block->der.data(), block->der.size()) == 0);
      break;
    }
    case 'd':  // DER, under each label that is known
      for (const std::string_view label : {"PRIVATE KEY", "RSA PRIVATE KEY", "PUBLIC KEY"}) {
        auto pem = nomyo::WritePem(label, text);
        if (!pem) continue;
        const std::string_view made(reinterpret_cast<const char*>(pem->data()), pem->size());
        if (auto key = nomyo::RsaPublicKey::Import(made, nomyo::kRsaLeastBits)) PublicKeyAgain(*key);
        if (auto key = nomyo::RsaPrivateKey::Import(pem->bytes(), std::nullopt)) {
          Demand(static_cast<bool>(key->Export(std::nullopt)));
        }
      }
      break;
    case 'e':  // encrypted: what is hashed for how long is the file's word, so there must be a bound
      static_cast<void>(nomyo::RsaPrivateKey::Import(text, Bytes("correct horse battery staple")));
      break;
    case 'p':
      if (auto key = nomyo::RsaPublicKey::Import(view, nomyo::kRsaLeastBits)) PublicKeyAgain(*key);
      break;
    default: {
      auto key = nomyo::RsaPrivateKey::Import(text, std::nullopt);
      if (!key) break;
      auto written = key->Export(std::nullopt);
      Demand(static_cast<bool>(written));
      auto again = nomyo::RsaPrivateKey::Import(written->bytes(), std::nullopt);
      Demand(static_cast<bool>(again));
      auto ours = key->PublicKey(), theirs = again->PublicKey();
      Demand(ours && theirs && ours->pem() == theirs->pem());
      PublicKeyAgain(*ours);
    }
  }
  return 0;
}
