#include "test/tpm/software_tpm.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace nomyo::test {

SoftwareTpm::SoftwareTpm() {
  std::string name = (std::filesystem::temp_directory_path() / "nomyo-tpm-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = name;
  Start();
}

SoftwareTpm::~SoftwareTpm() {
  Stop();
  std::filesystem::remove_all(folder_);
}

std::string SoftwareTpm::tcti() const {
  return "swtpm:path=" + folder_ + "/sock";
}

void SoftwareTpm::Start() {
  const std::string state = "dir=" + folder_;
  const std::string server = "type=unixio,path=" + folder_ + "/sock";
  const std::string control = "type=unixio,path=" + folder_ + "/sock.ctrl";
  const std::string log = "file=" + folder_ + "/log";
  const std::string ready = folder_ + "/pid";
  const std::string pid = "file=" + ready;
  pid_ = fork();
  if (pid_ == 0) {
    execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state.c_str(), "--server", server.c_str(), "--ctrl",
           control.c_str(), "--flags", "not-need-init,startup-clear", "--log", log.c_str(), "--pid", pid.c_str(),
           static_cast<char*>(nullptr));
    _exit(127);
  }
  // Written when both channels are open: a socket's file is there before it listens.
  while (!std::filesystem::exists(ready)) {
    if (waitpid(pid_, nullptr, WNOHANG) != 0) {
      pid_ = -1;
      throw std::runtime_error("swtpm did not start; is it installed?");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void SoftwareTpm::Freeze() {
  kill(pid_, SIGSTOP);
}

void SoftwareTpm::Thaw() {
  kill(pid_, SIGCONT);
}

void SoftwareTpm::Stop() {
  End(SIGTERM);
}

void SoftwareTpm::CutPower() {
  End(SIGKILL);
}

void SoftwareTpm::End(int signal) {
  if (pid_ <= 0) return;
  kill(pid_, signal);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  std::filesystem::remove(folder_ + "/sock");
  std::filesystem::remove(folder_ + "/sock.ctrl");
  std::filesystem::remove(folder_ + "/pid");
}

std::pair<int, bool> SoftwareTpm::Lockout() const {
  const std::string command = "TPM2TOOLS_TCTI=" + tcti() + " tpm2_getcap properties-variable";
  FILE* tool = popen(command.c_str(), "r");
  if (tool == nullptr) throw std::runtime_error("tpm2_getcap cannot be started");
  unsigned counter = 0;
  int locked = 0;
  int found = 0;
  char line[200];
  while (std::fgets(line, sizeof line, tool) != nullptr) {
    found += std::sscanf(line, " TPM2_PT_LOCKOUT_COUNTER: %x", &counter) == 1 ? 1 : 0;
    found += std::sscanf(line, " inLockout: %d", &locked) == 1 ? 1 : 0;
  }
  if (pclose(tool) != 0 || found != 2) throw std::runtime_error("tpm2_getcap does not say what it should");
  return {static_cast<int>(counter), locked == 1};
}

}  // namespace nomyo::test
