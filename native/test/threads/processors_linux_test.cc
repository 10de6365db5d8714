// How many cores this process may compute on: the affinity mask, and the quotas of control groups.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "core/threads/processors.h"

namespace nomyo {
namespace {

// A folder that has the files of /proc and /sys which say what quota there is.
class System {
 public:
  System() {
    std::string name = testing::TempDir() + "nomyo-cgroup-XXXXXX";
    root_ = mkdtemp(name.data()) == nullptr ? "" : name;
    EXPECT_NE(root_, "");
  }
  ~System() { std::filesystem::remove_all(root_); }
  System(const System&) = delete;
  System& operator=(const System&) = delete;

  System& File(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return *this;
  }

  System& Link(const std::string& path, const char* to) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::create_symlink(to, file);
    return *this;
  }

  System& Fifo(const std::string& path) {
    EXPECT_EQ(mkfifo((root_ + path).c_str(), 0600), 0);
    return *this;
  }

  std::optional<std::size_t> Quota() const { return CpuQuota(root_); }

 private:
  std::string root_;
};

TEST(Processors, AreThoseOfTheAffinityMask) {
  std::size_t count = 0;
  std::thread([&count] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    count = UsableProcessors();
  }).join();
  EXPECT_EQ(count, 1u);
  EXPECT_GE(UsableProcessors(), 1u);
  EXPECT_LE(UsableProcessors(), std::thread::hardware_concurrency());
}

TEST(Processors, AQuotaOfTheUnifiedHierarchyIsRoundedUp) {
  System system;
  system.File("/proc/self/cgroup", "0::/\n");
  for (const auto& [text, expected] : std::initializer_list<std::pair<const char*, std::size_t>>{
           {"50000 100000\n", 1}, {"100000 100000\n", 1}, {"100001 100000\n", 2}, {"250000 100000\n", 3}}) {
    EXPECT_EQ(system.File("/sys/fs/cgroup/cpu.max", text).Quota(), expected) << text;
  }
}

TEST(Processors, TheSmallestQuotaOnTheWayUpCounts) {
  System system;
  system.File("/proc/self/cgroup", "0::/system.slice/router.service\n")
      .File("/sys/fs/cgroup/system.slice/router.service/cpu.max", "400000 100000\n")
      .File("/sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n");
  EXPECT_EQ(system.Quota(), 2u);
  system.File("/sys/fs/cgroup/system.slice/router.service/cpu.max", "20000 100000\n");
  EXPECT_EQ(system.Quota(), 1u);
}

TEST(Processors, AContainersOwnGroupIsFoundThoughItsPathIsTheHosts) {
  System system;
  system.File("/proc/self/cgroup", "0::/kubepods/pod1/container1\n").File("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(system.Quota(), 2u);
}

TEST(Processors, AQuotaOfVersionOneCountsForItsController) {
  System system;
  system.File("/proc/self/cgroup", "5:cpuset:/set\n4:cpu,cpuacct:/docker/1\n0::/\n")
      .File("/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "150000\n")
      .File("/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "50000\n")
      .File("/sys/fs/cgroup/cpu/set/cpu.cfs_quota_us", "1\n")
      .File("/sys/fs/cgroup/cpu/set/cpu.cfs_period_us", "50000\n");
  EXPECT_EQ(system.Quota(), 3u);
  system.File("/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(system.Quota(), std::nullopt);
}

TEST(Processors, NothingOutsideIsAsked) {
  System system;
  system.File("/proc/self/cgroup", "0::/../../outside\n")
      .File("/sys/outside/cpu.max", "100000 100000\n")
      .File("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_EQ(system.Quota(), 3u);
}

TEST(Processors, AFileThatNeverEndsOrNeverBeginsIsNotWaitedFor) {
  System system;
  system.File("/proc/self/cgroup", "0::/\n").Link("/sys/fs/cgroup/cpu.max", "/dev/zero");
  EXPECT_EQ(system.Quota(), std::nullopt);
  System other;
  other.File("/proc/self/cgroup", "0::/\n").File("/sys/fs/cgroup/other", "").Fifo("/sys/fs/cgroup/cpu.max");
  EXPECT_EQ(other.Quota(), std::nullopt);
}

TEST(Processors, WithoutAQuotaOrWithoutFilesThereIsNone) {
  System system;
  EXPECT_EQ(system.Quota(), std::nullopt);
  system.File("/proc/self/cgroup", "no group\n0::/\n");
  EXPECT_EQ(system.Quota(), std::nullopt);
  for (const char* text : {"max 100000\n", "", "\n", "100000\n", "0 100000\n", "100000 0\n", "much 100000\n",
                           "99999999999999999999 100000\n"}) {
    EXPECT_EQ(system.File("/sys/fs/cgroup/cpu.max", text).Quota(), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace nomyo
