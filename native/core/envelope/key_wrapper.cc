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

// Ahead is the key that waits to be taken. The thread that makes it and the one that takes it share it.
class KeyWrapper::Ahead {
 public:
  Ahead(OaepEncryptor encryptor, SecureBuffer key, std::size_t wrapped_bytes)
      : encryptor_(std::move(encryptor)), key_(std::move(key)), wrapped_(wrapped_bytes) {}

  // Begin claims the making of the next key; false when there is one, or one is being made, or its locking forbids it.
  bool Begin(Locking locking) {
    std::lock_guard lock(mutex_);
    if (state_ != State::kNone || !Allowed(locking)) return false;
    state_ = State::kMaking;
    return true;
  }

  // Make is called by whoever has begun, End afterwards.
  bool Make() noexcept {
    try {
      return MakeKey(encryptor_, key_.bytes(), wrapped_).ok();
    } catch (...) {  // no memory for the error's own text
      return false;
    }
  }

  void End(bool made) {
    if (!made) Cleanse(key_.data(), key_.size());
    std::lock_guard lock(mutex_);
    state_ = made ? State::kReady : State::kNone;
  }

  bool Take(Locking locking, std::span<std::uint8_t> key, std::span<std::uint8_t> wrapped) {
    std::lock_guard lock(mutex_);
    if (state_ != State::kReady || !Allowed(locking)) return false;
    std::copy(key_.bytes().begin(), key_.bytes().end(), key.begin());
    std::copy(wrapped_.begin(), wrapped_.end(), wrapped.begin());
    Cleanse(key_.data(), key_.size());
    state_ = State::kNone;
    return true;
  }

  bool ready() {
    std::lock_guard lock(mutex_);
    return state_ == State::kReady;
  }

 private:
  enum class State { kNone, kMaking, kReady };

  bool Allowed(Locking locking) const { return locking != Locking::kRequired || key_.locked(); }

  std::mutex mutex_;
  State state_ = State::kNone;
  OaepEncryptor encryptor_;
  SecureBuffer key_;
  std::vector<std::uint8_t> wrapped_;
};

// An error of Make's is not lost: the next Take makes a key itself, and has the same one to tell.
class KeyWrapper::Making final : public Job {
 public:
  explicit Making(std::shared_ptr<Ahead> ahead) : ahead_(std::move(ahead)) {}
  void Run() noexcept override { made_ = ahead_->Make(); }
  void Finish(bool) noexcept override { ahead_->End(made_); }

 private:
  std::shared_ptr<Ahead> ahead_;
  bool made_ = false;
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
  // A router seals once to most keys that it sees.
  if (std::exchange(used_, true)) MakeAhead();
  return Status::Ok();
}

// Whatever goes wrong here only costs time: the next key is made when it is asked for.
void KeyWrapper::MakeAhead() noexcept try {
  if (!makes_ahead_) return;
  if (ahead_ == nullptr) {
    auto encryptor = encryptor_.Copy();
    auto key = SecureBuffer::Allocate(kAesKeyBytes);
    makes_ahead_ = encryptor && key;
    if (!makes_ahead_) return;
    ahead_ = std::make_shared<Ahead>(std::move(*encryptor), std::move(*key), wrapped_bytes_);
  }
  const Locking locking = CurrentLocking();
  if (!ahead_->Begin(locking)) return;
  // An owner by itself: it need not wait behind all the private-key operations of its environment.
  const Status status = Executor::Instance().Submit(std::make_shared<Making>(ahead_), locking, ahead_.get());
  if (status) return;
  ahead_->End(false);
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
  used_ = false;
}

bool KeyWrapper::has_ready() const {
  return ahead_ != nullptr && ahead_->ready();
}

}  // namespace nomyo
