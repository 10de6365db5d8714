// Sequences of operations on a LockedPool, under a lock limit that the input chooses, against a model: a list of what
// is live. Every byte that is handed out is zero, keeps what was written into it, and is counted.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/memory/locked_pool.h"
#include "test/memory/fake_page_allocator.h"

namespace {

void Demand(bool holds) {
  if (!holds) std::abort();
}

// The fake allocator, with one reservation for all inputs: one is never given back.
class OneReservation final : public nomyo::PageAllocator {
 public:
  static constexpr std::size_t kBytes = std::size_t{64} << 20;
  explicit OneReservation(nomyo::FakePageAllocator::Control* control) : fake_(control) {}
  std::size_t PageSize() const override { return fake_.PageSize(); }
  std::byte* Reserve(std::size_t bytes) override {
    if (bytes > kBytes) return nullptr;
    static std::byte* const base = nomyo::NewSystemPageAllocator()->Reserve(kBytes);
    return base;
  }
  Mapped MapLocked(std::byte* at, std::size_t bytes) override { return fake_.MapLocked(at, bytes); }
  Outcome MapUnlocked(std::byte* at, std::size_t bytes) override { return fake_.MapUnlocked(at, bytes); }
  bool Unmap(std::byte* at, std::size_t bytes) override { return fake_.Unmap(at, bytes); }
  nomyo::LockFailure Choose(nomyo::LockMechanism mechanism) override { return fake_.Choose(mechanism); }
  nomyo::LockMechanism Expected() override { return fake_.Expected(); }
  LockLimit Limit() const override { return fake_.Limit(); }
  std::string ExplainRefusal(std::size_t bytes, const nomyo::LockFailure& failure) const override {
    return fake_.ExplainRefusal(bytes, failure);
  }

 private:
  nomyo::FakePageAllocator fake_;
};

struct Live {
  std::uint8_t* memory;
  std::size_t size;
  std::uint8_t fill;
  nomyo::Locking locking;
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  std::uint8_t Byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::size_t Word() {
    const std::size_t high = Byte();
    return high << 8 | Byte();
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

// Whether all bytes are `byte`: the first is, and each is as the one before it. (A loop is slow under sanitizers.)
bool IsFilled(const std::uint8_t* memory, std::size_t size, std::uint8_t byte) {
  return memory[0] == byte && std::memcmp(memory, memory + 1, size - 1) == 0;
}

}  // namespace

// Long: a model of the pool, operation by operation.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  nomyo::FakePageAllocator::Control control;
  control.lock_limit = (input.Word() + 1) * 256;
  control.report_limit = (input.Byte() & 1) != 0;
  const std::size_t retain = input.Word() * 64;
  nomyo::LockedPool pool(std::make_unique<OneReservation>(&control),
                         {.reserve_bytes = OneReservation::kBytes, .retain_bytes = retain});
  std::vector<Live> lives;
  std::size_t in_use = 0, peak = 0, total = 0;
  std::uint8_t fill = 0;
  const auto free = [&](std::size_t index) {
    const Live live = lives[index];
    Demand(IsFilled(live.memory, live.size, live.fill));
    lives.erase(lives.begin() + static_cast<std::ptrdiff_t>(index));
    in_use -= live.size;
    pool.Free(live.memory);
  };
  while (!input.empty()) {
    const std::uint8_t operation = input.Byte();
    switch (operation % 8) {
      case 0:
      case 1:
      case 2:
      case 3: {
        // Small ones by the byte, large ones by the page's neighbourhood.
        const std::size_t asked = operation & 0x80 ? input.Word() * 3 : input.Word() % 4200;
        const auto locking = static_cast<nomyo::Locking>(operation / 8 % 4);
        nomyo::LockedPool::Refusal refusal;
        auto* memory = static_cast<std::uint8_t*>(pool.Allocate(asked, locking, &refusal));
        if (memory == nullptr) {
          Demand(refusal.kind == nomyo::LockedPool::Refusal::kLock ||
                 refusal.kind == nomyo::LockedPool::Refusal::kMemory);
          Demand(!pool.Explain(refusal, asked).message.empty());
          break;
        }
        Live live{memory, asked == 0 ? 1 : asked, ++fill, locking};
        Demand(reinterpret_cast<std::uintptr_t>(memory) % 16 == 0 && pool.Owns(memory));
        Demand(pool.SizeOf(memory) == live.size);
        if (locking == nomyo::Locking::kRequired) Demand(pool.IsLocked(memory));
        Demand(IsFilled(memory, live.size, 0));
        std::memset(memory, live.fill, live.size);
        lives.push_back(live);
        in_use += live.size;
        peak = std::max(peak, in_use);
        ++total;
        break;
      }
      case 4:
      case 5:
        if (!lives.empty()) free(input.Word() % lives.size());
        break;
      case 6: pool.Trim(); break;
      case 7:
        control.lock_limit = (input.Word() + 1) * 256;
        control.no_memory = (operation & 0x80) != 0;
        break;
    }
    const nomyo::LockedPool::Stats stats = pool.stats();
    Demand(stats.bytes_in_use == in_use && stats.bytes_peak == peak);
    Demand(stats.allocations == lives.size() && stats.total_allocations == total);
    Demand(stats.bytes_mapped == control.mapped && stats.bytes_locked == control.locked);
  }
  while (!lives.empty()) free(lives.size() - 1);
  pool.Trim();
  Demand(pool.stats().bytes_mapped == 0 && control.mapped == 0 && control.locked == 0);
  return 0;
}
