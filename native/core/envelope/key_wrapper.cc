#include "core/envelope/key_wrapper.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "core/memory/cleanse.h"
#include "core/memory/fork_guard.h"
#include "core/memory/kernel_random.h"
#include "core/memory/locking.h"
#include "core/memory/secure_buffer.h"
#include "core/threads/executor.h"

namespace nomyo {
namespace {

Status MakeKey(OaepEncryptor& encryptor, std::span<std::uint8_t> key, std::span<std::uint8_t> wrapped) {
  if (!KernelRandom(key)) return Error{Code::kCrypto, "The operating system gave no random bytes."};
  Status status = encryptor.Encrypt(key, wrapped);
  if (!status) Cleanse(key.data(), key.size());
  return status;
}

}  // namespace

// Ahead is the keys that wait to be taken, in the order they were made. The thread that makes them and the one that
// takes them share it.
class KeyWrapper::Ahead {
 public:
  Ahead(OaepEncryptor encryptor, SecureBuffer keys, std::size_t wrapped_bytes)
      : encryptor_(std::move(encryptor)),
        keys_(std::move(keys)),
        wrapped_bytes_(wrapped_bytes),
        wrapped_(kMostAhead * wrapped_bytes) {}

  // Begin claims the making of keys until `depth` are ready; false when more than half as many are, or somebody makes
  // some already, or the locking of this memory forbids it. So one waking of a thread serves several takings.
  bool Begin(Locking locking, std::size_t depth) {
    std::lock_guard lock(mutex_);
    if (making_ || ready_ > depth / 2 || !Allowed(locking)) return false;
    making_ = true;
    depth_ = depth;
    return true;
  }

  // MakeOne is called by whoever has begun, until it is false: there are enough, or a key cannot be made. From then on,
  // in one step with that, somebody else may begin.
  bool MakeOne() noexcept {
    std::size_t slot = 0;
    {
      std::lock_guard lock(mutex_);
      if (ready_ == depth_) {
        making_ = false;
        return false;
      }
      // A taking moves the first and the number of those ready by one each: this one stays where it is.
      slot = (first_ + ready_) % kMostAhead;
    }
    bool made = false;
    try {
      made = MakeKey(encryptor_, Key(slot), Wrapped(slot)).ok();
    } catch (...) {  // no memory for the error's own text
      Cleanse(Key(slot).data(), kAesKeyBytes);
    }
    std::lock_guard lock(mutex_);
    if (made) {
      ++ready_;
    } else {
      making_ = false;
    }
    return made;
  }

  // GiveUp is called by whoever has begun and makes none.
  void GiveUp() {
    std::lock_guard lock(mutex_);
    making_ = false;
  }

  bool Take(Locking locking, std::span<std::uint8_t> key, std::span<std::uint8_t> wrapped) {
    std::lock_guard lock(mutex_);
    if (ready_ == 0 || !Allowed(locking)) return false;
    const std::span<std::uint8_t> own = Key(first_);
    std::copy(own.begin(), own.end(), key.begin());
    std::ranges::copy(Wrapped(first_), wrapped.begin());
    Cleanse(own.data(), own.size());
    first_ = (first_ + 1) % kMostAhead;
    --ready_;
    return true;
  }

  std::size_t ready() {
    std::lock_guard lock(mutex_);
    return ready_;
  }

 private:
  bool Allowed(Locking locking) const { return locking != Locking::kRequired || keys_.locked(); }
  std::span<std::uint8_t> Key(std::size_t slot) { return keys_.bytes().subspan(slot * kAesKeyBytes, kAesKeyBytes); }
  std::span<std::uint8_t> Wrapped(std::size_t slot) {
    return std::span(wrapped_).subspan(slot * wrapped_bytes_, wrapped_bytes_);
  }

  std::mutex mutex_;
  bool making_ = false;
  std::size_t depth_ = 0;
  std::size_t first_ = 0;
  std::size_t ready_ = 0;
  OaepEncryptor encryptor_;
  SecureBuffer keys_;
  std::size_t wrapped_bytes_;
  std::vector<std::uint8_t> wrapped_;
};

// An error of MakeOne's is not lost: the next Take makes a key itself, and has the same one to tell.
class KeyWrapper::Making final : public Job {
 public:
  explicit Making(std::shared_ptr<Ahead> ahead) : ahead_(std::move(ahead)) {}
  void Run() noexcept override {
    // Alone with them, this makes keys for nobody.
    while (ahead_.use_count() > 1 && ahead_->MakeOne()) {
    }
    // Here, so that keys which nobody waits for are gone from the pool when this job is counted no more.
    ahead_.reset();
  }
  void Finish(bool cancelled) noexcept override {
    if (cancelled) ahead_->GiveUp();
  }

 private:
  std::shared_ptr<Ahead> ahead_;
};

KeyWrapper::KeyWrapper(OaepEncryptor encryptor, std::size_t wrapped_bytes)
    : encryptor_(std::move(encryptor)), wrapped_bytes_(wrapped_bytes) {}

KeyWrapper::~KeyWrapper() = default;
KeyWrapper::KeyWrapper(KeyWrapper&&) noexcept = default;
KeyWrapper& KeyWrapper::operator=(KeyWrapper&&) noexcept = default;

Result<KeyWrapper> KeyWrapper::For(const RsaPublicKey& key) {
  auto encryptor = OaepEncryptor::For(key);
  if (!encryptor) return encryptor.error();
  return KeyWrapper(std::move(*encryptor), key.size());
}

Status KeyWrapper::Take(std::span<std::uint8_t, kAesKeyBytes> key, std::span<std::uint8_t> wrapped) {
  // A key that was made ahead reads as zeros there.
  if (InForkedChild()) return ForkedChildError();
  if (ahead_ == nullptr || !ahead_->Take(CurrentLocking(), key, wrapped)) {
    if (Status status = MakeKey(encryptor_, key, wrapped); !status) return status;
  }
  // A router seals once to most keys that it sees. Whoever seals more often is likely to go on: at most half of the
  // keys that were ever made ahead are made for nothing.
  if (++taken_ > 1) MakeAhead(std::clamp<std::size_t>(taken_ / 2, 1, kMostAhead));
  return Status::Ok();
}

// Whatever goes wrong here only costs time: the next key is made when it is asked for.
void KeyWrapper::MakeAhead(std::size_t depth) noexcept try {
  if (!makes_ahead_) return;
  if (ahead_ == nullptr) {
    auto encryptor = encryptor_.Copy();
    auto keys = SecureBuffer::Allocate(kMostAhead * kAesKeyBytes);
    makes_ahead_ = encryptor && keys;
    if (!makes_ahead_) return;
    ahead_ = std::make_shared<Ahead>(std::move(*encryptor), std::move(*keys), wrapped_bytes_);
  }
  const Locking locking = CurrentLocking();
  if (!ahead_->Begin(locking, depth)) return;
  // An owner by itself: it need not wait behind all the private-key operations of its environment.
  const Status status = Executor::Instance().Submit(std::make_shared<Making>(ahead_), locking, ahead_.get());
  if (status) return;
  ahead_->GiveUp();
  // No thread can be had: asking each time would cost more than it could save.
  if (status.error().code != Code::kQueueFull) makes_ahead_ = false;
} catch (...) {
  // No memory. What it had claimed to make nobody makes any more: it is dropped whole.
  ahead_.reset();
  makes_ahead_ = false;
}

void KeyWrapper::DropAhead() noexcept {
  // A job that makes one holds it for so long; the pool wipes what is freed.
  ahead_.reset();
  taken_ = 0;
}

std::size_t KeyWrapper::ready() const {
  return ahead_ == nullptr ? 0 : ahead_->ready();
}

}  // namespace nomyo
