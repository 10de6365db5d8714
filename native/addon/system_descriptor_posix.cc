#if defined(__linux__) || defined(__APPLE__)

#include "addon/system_descriptor.h"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace nomyo::addon {
namespace {

Error Failed(const char* call) {
  return {Code::kUnsupported, std::string(call) + " failed: " + std::strerror(errno) + "."};
}

}  // namespace

Result<std::int64_t> ReadWhatIsThere(int fd, std::span<std::uint8_t> out) {
  pollfd waiting{fd, POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&waiting, 1, 0);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return Failed("poll");
  if (ready == 0) return std::int64_t{-1};
  ssize_t got = 0;
  do {
    got = read(fd, out.data(), out.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::int64_t{-1};
  if (got < 0) return Failed("read");
  return std::int64_t{got};
}

Status SetTerminalEcho(int fd, bool on) {
  termios state{};
  if (tcgetattr(fd, &state) != 0) return Failed("tcgetattr");
  if (on) {
    state.c_lflag |= ECHO;
    state.c_lflag &= ~static_cast<tcflag_t>(ECHONL);
  } else {
    state.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    state.c_lflag |= ECHONL;
  }
  // What was typed before the question is no answer to it.
  if (tcsetattr(fd, TCSAFLUSH, &state) != 0) return Failed("tcsetattr");
  return Status::Ok();
}

}  // namespace nomyo::addon

#else
#error "This file is for Linux and macOS: native/CMakeLists.txt takes each system's own."
#endif
