// SoftwareTpm: an swtpm of the test's own, on a socket in a folder of its own.
#pragma once

#include <string>
#include <utility>

#include <sys/types.h>

namespace nomyo::test {

class SoftwareTpm {
 public:
  SoftwareTpm();
  SoftwareTpm(const SoftwareTpm&) = delete;
  SoftwareTpm& operator=(const SoftwareTpm&) = delete;
  ~SoftwareTpm();

  // Where to reach it: "swtpm:path=…".
  std::string tcti() const;
  // Stop ends the process, as when a TPM vanishes; Start makes it come back, with the same state folder.
  void Stop();
  void Start();
  // CutPower ends it without the orderly shutdown that Stop gives it time for (Part 1, 12.2.4).
  void CutPower();
  // Freeze makes it take commands and never answer, until Thaw.
  void Freeze();
  void Thaw();
  // Lockout returns how often the TPM believes that someone guessed (TPM_PT_LOCKOUT_COUNTER), and whether it is locked
  // out. It connects: swtpm serves one client at a time.
  std::pair<int, bool> Lockout() const;
  const std::string& folder() const { return folder_; }

 private:
  void End(int signal);

  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace nomyo::test
