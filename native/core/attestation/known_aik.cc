#include "core/attestation/known_aik.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "core/attestation/offline_engine.h"

namespace nomyo {
namespace {

class Kept {
 public:
  std::shared_ptr<const KnownAik> Find(ByteView sent) {
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find_if(
        kept_, [sent](const auto& each) { return each != nullptr && std::ranges::equal(each->sent, sent); });
    if (at == kept_.end()) return nullptr;
    std::rotate(kept_.begin(), at, at + 1);
    return kept_.front();
  }

  void Keep(std::shared_ptr<const KnownAik> aik) {
    if (Find(aik->sent) != nullptr) return;
    const std::lock_guard lock(mutex_);
    std::rotate(kept_.begin(), kept_.end() - 1, kept_.end());
    std::swap(kept_.front(), aik);  // the one that goes is freed by the caller's thread, after the lock
  }

 private:
  std::mutex mutex_;
  std::array<std::shared_ptr<const KnownAik>, kKeptAiks> kept_;  // the last used one first
};

// Never destroyed: the package's threads may outlive what is.
Kept& TheKept() {
  static Kept* const kept = new Kept;
  return *kept;
}

}  // namespace

bool KnownAik::IsQuick() const {
  return key && (key->rsa || key->bits == 256);
}

Result<std::shared_ptr<const KnownAik>> ReadAik(const TssMu& mu, ByteView sent) {
  if (auto kept = FindKeptAik(sent)) return kept;
  const auto aik = std::make_shared<KnownAik>();
  aik->sent.assign(sent.begin(), sent.end());
  Result<PublicArea> area = ReadPublicArea(mu, aik->sent);
  if (!area) return area.error();
  aik->area = *area;
  Result<AikKey> key = LoadAikKey(aik->area.area);
  if (key) {
    aik->key = std::move(*key);
    Result<std::string> pem = KeyPem(aik->key->key.get());
    if (!pem) return pem.error();
    aik->pem = std::move(*pem);
    aik->scheme = AikSchemeOf(aik->area.area);
    Result<EvpPkeyCtx> check = OfflineEngine::Prepare(aik->key->key.get(), aik->scheme.scheme, aik->scheme.hash);
    if (!check) return check.error();
    aik->check = std::move(*check);
  } else if (key.error().code == Code::kInvalidArgument) {
    aik->type = key.error();
  } else {
    return key.error();
  }
  if (IsSignatureHash(aik->area.area.nameAlg)) {
    Result<Bytes> name = AikName(aik->area);
    if (!name) return name.error();
    aik->name = std::move(*name);
  }
  return std::shared_ptr<const KnownAik>(aik);
}

std::shared_ptr<const KnownAik> FindKeptAik(ByteView sent) {
  return TheKept().Find(sent);
}

void KeepAik(std::shared_ptr<const KnownAik> aik) {
  TheKept().Keep(std::move(aik));
}

}  // namespace nomyo
