#if defined(__linux__)

#include <sched.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/threads/processors.h"

namespace nomyo {
namespace {

// The lines of a file; none when it cannot be read.
std::vector<std::string> LinesOf(const std::string& path) {
  std::vector<std::string> lines;
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return lines;
  std::string line;
  for (int character = std::fgetc(file); character != EOF; character = std::fgetc(file)) {
    if (character != '\n') {
      line += static_cast<char>(character);
    } else {
      lines.push_back(std::exchange(line, {}));
    }
  }
  if (!line.empty()) lines.push_back(std::move(line));
  static_cast<void>(std::fclose(file));
  return lines;
}

// The whole numbers of a file's first line: empty where it has none, as the "max" and the -1 of no quota.
std::vector<std::uint64_t> NumbersOf(const std::string& path) {
  std::vector<std::uint64_t> numbers;
  const auto lines = LinesOf(path);
  if (lines.empty()) return numbers;
  const char* at = lines.front().data();
  const char* const end = at + lines.front().size();
  for (;;) {
    while (at != end && *at == ' ') ++at;
    std::uint64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return numbers;
    numbers.push_back(number);
    at = next;
  }
}

// The quota of one group in cores, rounded up: microseconds of computing in each period of so many.
std::optional<std::size_t> QuotaOf(const std::string& group, bool unified) {
  auto numbers = NumbersOf(group + (unified ? "/cpu.max" : "/cpu.cfs_quota_us"));
  if (!unified) {
    for (const std::uint64_t period : NumbersOf(group + "/cpu.cfs_period_us")) numbers.push_back(period);
  }
  if (numbers.size() != 2 || numbers[0] == 0 || numbers[1] == 0) return std::nullopt;
  const auto [quota, period] = std::pair(numbers[0], numbers[1]);
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
  for (const std::string& line : LinesOf(root + "/proc/self/cgroup")) {
    // cgroups(7): "0::/path" in the unified hierarchy, "4:cpu,cpuacct:/path" in one of version 1.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && !Lists(controllers, "cpu")) continue;
    const std::string mount = root + (unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu");
    // Each group above has its say too. In a container the path may be the host's, and is not found; what is mounted
    // is then the container's own group.
    std::string path = line.substr(second + 1);
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
