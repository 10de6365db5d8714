// DecodePackage and OpenPackage. The corpus has the packages of test/vectors, sealed to one key: so what a mutation
// leaves whole is unwrapped, authenticated and checked. Nothing but those very packages may open: another one would be
// a forgery.
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "core/crypto/rsa_key.h"
#include "core/crypto/rsa_oaep.h"
#include "core/envelope/opener.h"
#include "core/json/check.h"
#include "core/memory/locked_pool.h"
#include "core/memory/locking.h"

namespace {

const nomyo::RsaPrivateKey& Key() {
  static const nomyo::RsaPrivateKey key = [] {
    std::ifstream file(NOMYO_VECTORS_DIR "/keys/client_private.pem", std::ios::binary);
    const std::string pem{std::istreambuf_iterator<char>(file), {}};
    auto read = nomyo::RsaPrivateKey::Import({reinterpret_cast<const std::uint8_t*>(pem.data()), pem.size()}, {});
    if (!read) std::abort();
    // What a thread's first operation leaves in the pool, where that is OpenSSL's memory: the key's blinding for this
    // thread (OpenSSL 3.5 has one for each), and with the first error the list that a thread keeps of errors.
    if (nomyo::OaepDecrypt(*read, std::vector<std::uint8_t>(read->size(), 1))) std::abort();
    return std::move(*read);
  }();
  return key;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const nomyo::LockingScope scope(nomyo::Locking::kPreferred);
  const nomyo::OpenLimits limits{1 << 20, 64};
  auto package = nomyo::DecodePackage({data, size}, limits);
  if (!package || package->wrapped_key.size() != Key().size()) return 0;
  const std::size_t in_use = nomyo::LockedPool::Instance().stats().bytes_in_use;
  const std::size_t payload = package->payload.size();
  auto opened = nomyo::OpenPackage(Key(), std::move(*package), limits);
  if (opened) {
    // What was opened is the JSON of an object, whole.
    if (opened->plaintext.size() != payload || !nomyo::CheckJson(opened->plaintext.bytes(), 64)) std::abort();
    return 0;
  }
  // A refusal leaves nothing in the pool.
  if (nomyo::LockedPool::Instance().stats().bytes_in_use > in_use) std::abort();
  return 0;
}
