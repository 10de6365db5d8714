#if defined(__linux__)

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "core/threads/processors.h"

namespace nomyo {
namespace {

// The first bytes of a file, 16 KiB at most: all of what the kernel writes into these. Empty when it cannot be read, or
// is something that would have to be waited for.
std::string StartOf(const std::string& path) {
  std::string text;
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return text;
  std::array<char, 4096> part{};
  for (int parts = 0; parts < 4; ++parts) {
    const ssize_t got = read(file, part.data(), part.size());
    if (got <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  static_cast<void>(close(file));
  return text;
}

// Takes the first line of `text`, without its end.
std::string_view TakeLine(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// The whole numbers that a file's first line begins with, two at most: none where it has none, as the "max" and the -1
// of no quota.
struct Numbers {
  std::array<std::uint64_t, 2> value{};
  std::size_t count = 0;
};
Numbers NumbersOf(const std::string& path) {
  const std::string text = StartOf(path);
  std::string_view rest = text;
  const std::string_view line = TakeLine(rest);
  Numbers numbers;
  const char* at = line.data();
  const char* const end = at + line.size();
  while (numbers.count < numbers.value.size()) {
    while (at != end && *at == ' ') ++at;
    const auto [next, error] = std::from_chars(at, end, numbers.value.at(numbers.count));
    if (error != std::errc()) break;
    ++numbers.count;
    at = next;
  }
  return numbers;
}

// The quota of one group in cores, rounded up: microseconds of computing in each period of so many.
std::optional<std::size_t> QuotaOf(const std::string& group, bool unified) {
  Numbers numbers = NumbersOf(group + (unified ? "/cpu.max" : "/cpu.cfs_quota_us"));
  if (!unified && numbers.count == 1) {
    const Numbers of_version_one = NumbersOf(group + "/cpu.cfs_period_us");
    numbers = {{numbers.value[0], of_version_one.value[0]}, 1 + of_version_one.count};
  }
  const auto [quota, period] = numbers.value;
  if (numbers.count != 2 || quota == 0 || period == 0) return std::nullopt;
  return static_cast<std::size_t>(quota / period + (quota % period == 0 ? 0 : 1));
}

// Whether one of the names of a list with commas is `name`.
bool Lists(std::string_view list, std::string_view name) {
  for (;;) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == name) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

std::optional<std::size_t> CpuQuota(const std::string& root) {
  std::optional<std::size_t> least;
  const std::string groups = StartOf(root + "/proc/self/cgroup");
  for (std::string_view rest = groups; !rest.empty();) {
    const std::string_view line = TakeLine(rest);
    // cgroups(7): "0::/path" in the unified hierarchy, "4:cpu,cpuacct:/path" in one of version 1.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && !Lists(controllers, "cpu")) continue;
    const std::string mount = root + (unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu");
    // Each group above has its say too, as far as it can be seen. In a container the path may be the host's, and is not
    // found, or lead out of what is mounted: that is then the container's own group.
    std::string path(line.substr(second + 1));
    if (path.find("/..") != std::string::npos) path.clear();
    for (;;) {
      while (path.ends_with('/')) path.pop_back();
      if (const auto quota = QuotaOf(mount + path, unified)) least = std::min(least.value_or(*quota), *quota);
      if (path.empty()) break;
      const std::size_t slash = path.rfind('/');
      path.resize(slash == std::string::npos ? 0 : slash);
    }
  }
  return least;
}

std::size_t UsableProcessors() {
  // Room for 16 384 cores: the kernel refuses a mask that is smaller than its own.
  std::array<cpu_set_t, 16> mask{};
  std::size_t processors = std::thread::hardware_concurrency();
  if (sched_getaffinity(0, sizeof mask, mask.data()) == 0) {
    processors = static_cast<std::size_t>(CPU_COUNT_S(sizeof mask, mask.data()));
  }
  return std::max<std::size_t>(std::min(processors, CpuQuota("").value_or(processors)), 1);
}

}  // namespace nomyo

#else
#error "This file is for Linux: native/CMakeLists.txt takes each system's own."
#endif
