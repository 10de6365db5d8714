#include "core/tpm/device.h"

#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/crypto/algorithms.h"
#include "core/memory/locking.h"
#include "core/memory/stack_wipe.h"
#include "core/threads/signals_blocked.h"

namespace nomyo {
namespace {

using Clock = std::chrono::steady_clock;

// A thread blocked in a dead TPM costs its stack and a socket until the TPM or the process goes; a few are bearable.
constexpr int kMaxBlockedThreads = 3;

// ExitGate keeps the end of the process away from a thread that is inside tpm2-tss: exit() frees the state of the
// shared libcrypto, which that thread may be using. Work passes the gate; once the process ends nothing passes any
// more, and exit() waits for who is inside, but not for long: a TPM may never answer, and who blocks in a read harms
// nobody.
class ExitGate {
 public:
  static ExitGate& Instance() {
    static auto& gate = *new ExitGate;
    return gate;
  }

  // Exit handlers run last in, first out: called when a connection is open, so that ours comes before libcrypto's,
  // which was registered while it was being opened.
  void Arm() {
    // It fails only when memory has run out; then the exit may find a thread inside, as it would without a gate.
    std::call_once(armed_, [] { static_cast<void>(std::atexit([] { Instance().Close(); })); });
  }

  void Enter() {
    std::unique_lock lock(mutex_);
    // For ever: the process is about to be gone.
    changed_.wait(lock, [this] { return !ending_; });
    ++inside_;
  }

  void Leave() {
    {
      std::lock_guard lock(mutex_);
      --inside_;
    }
    changed_.notify_all();
  }

 private:
  void Close() {
    std::unique_lock lock(mutex_);
    ending_ = true;
    changed_.wait_for(lock, std::chrono::seconds(1), [this] { return inside_ == 0; });
  }

  std::once_flag armed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  bool ending_ = false;
};

// On a thread of ours nobody would catch anything.
Error DoesNotAnswer(const std::string& tcti) noexcept {
  try {
    return {Code::kTpm, "The TPM at \"" + tcti + "\" does not answer; see whether it is in use by another program."};
  } catch (...) {
    return OutOfMemory();
  }
}

// StartThread runs `body` detached. Signals are for the program's own threads; SIGPIPE, of a vanished TPM's socket, is
// for nobody.
template <class Body>
Status StartThread(Body body) noexcept {
  const SignalsBlocked blocked(SignalsBlocked::kAll);
  Status started = Status::Ok();
  // It begins with the registers of this one.
  ClearVectorRegisters();
  try {
    std::thread(std::move(body)).detach();
  } catch (...) {
    started = ErrorWithoutThrow(Code::kOutOfMemory, "The thread for the TPM could not be started.");
  }
  return started;
}

}  // namespace

struct TpmDevice::State : std::enable_shared_from_this<State> {
  struct Piece {
    Work work;
    Done done;
  };
  struct Running {
    Done done;
    Clock::time_point until;
  };

  State(std::string where, Limits given) : tcti(std::move(where)), limits(given) {}

  // The thread that uses the TPM. It is the device's own as long as `turn` is its number; the watch takes it away.
  void Serve(std::uint64_t number) {
    // Quotes hold no secret, so nothing that OpenSSL allocates here needs to be locked.
    const LockingScope scope(Locking::kPublic);
    std::unique_ptr<TpmConnection> connection;
    for (;;) {
      Work work;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return closed || !queue.empty(); });
        if (queue.empty()) {
          serving = false;
          break;
        }
        work = std::move(queue.front().work);
        running = Running{std::move(queue.front().done), Clock::now() + limits.time};
        queue.erase(queue.begin());
      }
      watch.notify_one();
      ExitGate::Instance().Enter();
      Status status = Do(work, connection);
      ExitGate::Instance().Leave();
      Done done;
      {
        std::lock_guard lock(mutex);
        if (turn != number) {  // left behind: the caller has its error, another thread serves
          --blocked;
          break;
        }
        done = std::move(running->done);
        running.reset();
      }
      watch.notify_one();
      done(std::move(status));
    }
    ExitGate::Instance().Enter();
    connection.reset();
    ExitGate::Instance().Leave();
  }

  // The thread that looks at the clock.
  void Watch() {
    std::unique_lock lock(mutex);
    for (;;) {
      if (closed && !running) return;
      if (!running) {
        watch.wait(lock);
        continue;
      }
      if (Clock::now() < running->until) {
        watch.wait_until(lock, running->until);
        continue;
      }
      Done done = std::move(running->done);
      running.reset();
      ++turn;
      ++blocked;
      serving = false;
      std::vector<Piece> refused;
      if (const Status next = EnsureServing(); !next) refused.swap(queue);
      lock.unlock();
      done(DoesNotAnswer(tcti));
      for (const Piece& piece : refused) piece.done(DoesNotAnswer(tcti));
      // What they hold may be the last reference to the device, whose destructor takes the mutex.
      done = nullptr;
      refused.clear();
      lock.lock();
    }
  }

  // With the mutex held.
  Status EnsureServing() {
    if (serving || queue.empty()) return Status::Ok();
    if (blocked >= kMaxBlockedThreads) return DoesNotAnswer(tcti);
    Status started = StartThread([self = shared_from_this(), number = turn] { self->Serve(number); });
    serving = started.ok();
    return started;
  }

  // A connection that was fine may have died since it was last used, which only the next command shows; so work on an
  // old connection gets a second try, on a new one.
  Status Do(const Work& work, std::unique_ptr<TpmConnection>& connection) const {
    if (Status ready = PrepareOpenSsl(); !ready) return ready;
    const bool reused = connection != nullptr;
    Status status = Try(work, connection);
    if (!status && reused && connection == nullptr) status = Try(work, connection);
    return status;
  }

  Status Try(const Work& work, std::unique_ptr<TpmConnection>& connection) const {
    try {
      if (connection == nullptr) {
        auto opened = TpmConnection::Open(tcti);
        if (!opened) return opened.error();
        connection = std::move(opened).value();
        ExitGate::Instance().Arm();
      }
      Status status = work(*connection);
      if (connection->broken()) connection.reset();
      return status;
    } catch (const std::bad_alloc&) {
      connection.reset();
      return OutOfMemory();
    } catch (...) {
      connection.reset();
      return ErrorWithoutThrow(Code::kTpm, "The work on the TPM ended in an exception, a fault of this package.");
    }
  }

  const std::string tcti;
  const Limits limits;
  std::mutex mutex;
  std::condition_variable wake;   // for Serve: work, or the end
  std::condition_variable watch;  // for Watch: work began or ended, or the end
  std::vector<Piece> queue;       // never long; an empty one takes no memory, so that dropping it cannot fail
  std::optional<Running> running;
  std::uint64_t turn = 0;
  int blocked = 0;
  bool serving = false;
  bool closed = false;
};

Result<std::shared_ptr<TpmDevice>> TpmDevice::Start(std::string tcti, Limits limits) {
  auto state = std::make_shared<State>(std::move(tcti), limits);
  // Before the thread, which nobody would end if there were no memory left for the device.
  std::shared_ptr<TpmDevice> device(new TpmDevice(state));
  if (Status s = StartThread([state = std::move(state)] { state->Watch(); }); !s) return s.error();
  return device;
}

Status TpmDevice::Submit(Work work, Done done) try {
  // `done` may hold the last reference to this device, and be through before we are.
  const std::shared_ptr<State> state = state_;
  {
    std::lock_guard lock(state->mutex);
    if (state->closed) return Error{Code::kDisposed, "This TPM has been closed."};
    if (state->queue.size() >= state->limits.queue) {
      return Error{Code::kQueueFull, "The TPM has more work waiting than its queue may hold; try again later."};
    }
    state->queue.push_back({std::move(work), std::move(done)});
    if (Status s = state->EnsureServing(); !s) {
      state->queue.pop_back();
      return s;
    }
  }
  state->wake.notify_one();
  return Status::Ok();
} catch (const std::bad_alloc&) {
  return OutOfMemory();
}

void TpmDevice::Close() {
  const std::shared_ptr<State> state = state_;
  std::vector<State::Piece> dropped;
  {
    std::lock_guard lock(state->mutex);
    state->closed = true;
    dropped.swap(state->queue);
  }
  state->wake.notify_all();
  state->watch.notify_all();
  for (const auto& piece : dropped) piece.done(Error{Code::kCancelled, "The TPM was closed before its turn came."});
}

TpmDevice::~TpmDevice() {
  Close();
}

}  // namespace nomyo
