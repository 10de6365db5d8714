// A million allocations of mixed sizes (16 bytes to 64 KiB), wiped when they are freed: the pool beside malloc, memset
// and free of the same sizes in the same order. Prints the times and their ratio, which must not be over 3.
//
//   cmake -S . -B build/bench -DNOMYO_BUILD_ADDON=OFF -DNOMYO_BUILD_BENCHMARKS=ON && cmake --build build/bench
//   build/bench/native/pool_bench
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "core/memory/cleanse.h"
#include "core/memory/locked_pool.h"

namespace nomyo {
namespace {

constexpr std::size_t kAllocations = 1'000'000;
constexpr int kRounds = 5;

// Step says: free what is in `place`, then put an allocation of `size` there.
struct Step {
  std::uint32_t place;
  std::uint32_t size;
};

std::vector<Step> Steps(std::size_t live, bool by_doublings) {
  std::mt19937 random(20'250'101);
  std::vector<Step> steps(kAllocations);
  for (Step& step : steps) {
    step.place = static_cast<std::uint32_t>(random() % live);
    const std::uint32_t least = 16u << (random() % 12);
    step.size = by_doublings ? least + static_cast<std::uint32_t>(random() % (least + 1))
                             : 16 + static_cast<std::uint32_t>(random() % (64 * 1024 - 15));
    step.size = std::min<std::uint32_t>(step.size, 64 * 1024);
  }
  return steps;
}

template <class Take, class Give>
double Milliseconds(const std::vector<Step>& steps, std::size_t live, Take take, Give give) {
  std::vector<std::pair<void*, std::size_t>> places(live);
  const auto start = std::chrono::steady_clock::now();
  for (const Step& step : steps) {
    auto& [memory, size] = places[step.place];
    if (memory != nullptr) give(memory, size);
    memory = take(step.size);
    if (memory == nullptr) std::exit(2);
    // The caller writes something, as callers do.
    static_cast<volatile unsigned char*>(memory)[0] = 1;
    size = step.size;
  }
  for (auto& [memory, size] : places) {
    if (memory != nullptr) give(memory, size);
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace
}  // namespace nomyo

int main() {
  using namespace nomyo;
  double worst = 0;
  std::printf("a million allocations, median of %d rounds, ms\n", kRounds);
  std::printf("%-34s %5s %-13s %9s %9s %6s\n", "sizes", "live", "mechanism", "malloc", "pool", "ratio");
  for (const bool by_doublings : {true, false}) {
    for (const std::size_t live : {std::size_t{1}, std::size_t{100}}) {
      const auto steps = Steps(live, by_doublings);
      for (const char* mechanism : {"memfd_secret", "mlock"}) {
        LockedPool pool(NewSystemPageAllocator(), LockedPool::Options{});
        if (!pool.SetMechanism(mechanism)) continue;
        std::vector<double> ordinary;
        std::vector<double> locked;
        for (int round = 0; round < kRounds; ++round) {
          // memset is called through a pointer: the compiler drops a memset before free.
          void* (*volatile set)(void*, int, std::size_t) = std::memset;
          ordinary.push_back(Milliseconds(
              steps, live, [](std::size_t size) { return std::malloc(size); },
              [&](void* memory, std::size_t size) {
                set(memory, 0, size);
                std::free(memory);
              }));
          locked.push_back(Milliseconds(
              steps, live,
              [&](std::size_t size) {
                LockedPool::Refusal refusal{};
                return pool.Allocate(size, Locking::kRequired, &refusal);
              },
              [&](void* memory, std::size_t) { pool.Free(memory); }));
        }
        const double ratio = Median(locked) / Median(ordinary);
        worst = std::max(worst, ratio);
        std::printf("%-34s %5zu %-13s %9.1f %9.1f %6.2f\n",
                    by_doublings ? "every doubling as often" : "every size as often", live, mechanism, Median(ordinary),
                    Median(locked), ratio);
      }
    }
  }
  std::printf("largest ratio %.2f (bound: 3)\n", worst);
  return worst <= 3 ? 0 : 1;
}
