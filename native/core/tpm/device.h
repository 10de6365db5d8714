// TpmDevice: one TPM, a thread of its own that may block, a bounded queue, a time limit.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "core/result.h"
#include "core/tpm/connection.h"

namespace nomyo {

// A TPM does one thing at a time and takes its time, so it gets a thread which may block, instead of one of the few
// that do cryptography. When the transport fails (a TPM that vanished), the connection is dropped and the next piece of
// work opens another. A TPM that does not answer at all blocks its thread: after the time limit the caller gets an
// error, the thread is left behind, and another takes over the queue. Any thread may call all of it.
class TpmDevice {
 public:
  struct Limits {
    // How many pieces of work may wait, beside the one that runs.
    std::size_t queue = 64;
    // How long one piece may run. A discrete TPM makes an RSA key in seconds, but once in a while needs much longer.
    std::chrono::milliseconds time = std::chrono::seconds(120);
  };

  // Work uses the connection on the device's thread. It is run a second time, once, when the transport failed under it,
  // so it must not have handed anything on. After the time limit it may still be running when its Done has been called,
  // so it owns (shares) what it writes to.
  using Work = std::function<Status(TpmConnection&)>;
  // Done is told the outcome, once, on a thread of the device, or on the thread that calls Close for work that was
  // still queued.
  using Done = std::function<void(Status)>;

  // Start makes the device; nothing is opened yet. Error: kOutOfMemory when there is no thread to be had.
  static Result<std::shared_ptr<TpmDevice>> Start(std::string tcti, Limits limits);

  // Submit queues work. Errors, with neither function called: kQueueFull; kDisposed after Close; kTpm when so many
  // threads are blocked in this TPM that no further one is risked; kOutOfMemory.
  Status Submit(Work work, Done done);

  // Close ends the work that is queued with kCancelled, lets the piece that runs finish, and closes the connection.
  // It does not wait. Twice is harmless.
  void Close();

  TpmDevice(const TpmDevice&) = delete;
  TpmDevice& operator=(const TpmDevice&) = delete;
  // Closes. The threads keep what they need until they are through; they are not waited for.
  ~TpmDevice();

 private:
  struct State;
  explicit TpmDevice(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace nomyo
