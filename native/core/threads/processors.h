// UsableProcessors: how many cores this process may compute on, which in containers is fewer than the machine has.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace nomyo {

// UsableProcessors counts the cores that the calling thread may run on (the affinity mask: taskset, cpuset, systemd's
// CPUAffinity=), or fewer where a quota of the process's control group gives it less time than that (CPUQuota=, docker
// --cpus, limits.cpu), parts of a core rounded up. std::thread::hardware_concurrency() heeds neither with glibc, and
// threads beyond the quota only make all of them, the JavaScript thread too, be stopped for the rest of each period.
// At least 1. On macOS and Windows it is the cores that there are. Any thread.
std::size_t UsableProcessors();

// CpuQuota is the smallest quota of the process's control group and of those above it, in cores, rounded up; nullopt
// where there is none. Groups are looked for where every distribution mounts them, below `root`/sys/fs/cgroup, by what
// `root`/proc/self/cgroup says: "" for this system, a folder for tests. Linux only. Any thread.
std::optional<std::size_t> CpuQuota(const std::string& root);

}  // namespace nomyo
