// SoftwareTpm: an swtpm of the test's own, on a socket in a folder of its own.
#pragma once

#include <string>

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
  // Freeze makes it take commands and never answer, until Thaw.
  void Freeze();
  void Thaw();
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace nomyo::test
