// Each allocation of sealing and opening fails once, and all from there on: what comes is kOutOfMemory or
// std::bad_alloc, which is what the addon makes of both, never something half made; and nothing stays behind in the
// pool.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "core/envelope/opener.h"
#include "core/envelope/sealer.h"
#include "core/memory/locked_pool.h"
#include "core/threads/executor.h"
#include "test/allocation_count.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

using Then = FailingAllocation::Then;

constexpr OpenLimits kLimits{1 << 20, 64};
constexpr std::string_view kJson = R"({"messages":[{"role":"user","content":"a prompt"}]})";

const RsaPrivateKey& ClientKey() {
  static const RsaPrivateKey key = [] {
    std::ifstream file(std::string(NOMYO_VECTORS_DIR) + "/keys/client_private.pem", std::ios::binary);
    const std::string pem{std::istreambuf_iterator<char>(file), {}};
    return std::move(RsaPrivateKey::Import(BytesOf(pem), std::nullopt)).value();
  }();
  return key;
}

Result<std::string> Sealed(std::string_view json, Padding padding = Padding::kNone) {
  // Of its own, so that no other thread makes a key ahead meanwhile.
  static const auto public_key = ClientKey().PublicKey();
  auto wrapper = KeyWrapper::For(public_key.value());
  if (!wrapper) return wrapper.error();
  auto sealer = Sealer::Start(*wrapper, {1 << 20, 100, padding, 1'700'000'000});
  if (!sealer) return sealer.error();
  const Status status = (*sealer)->writer().RawLatin1(BytesOf(json));
  if (!status) return status.error();
  auto package = (*sealer)->Finish();
  if (!package) return package.error();
  return std::string(reinterpret_cast<const char*>(package->data()), package->size());
}

Result<std::string> Opened(std::string_view package) {
  auto decoded = DecodePackage(BytesOf(package), kLimits);
  if (!decoded) return decoded.error();
  auto opened = OpenPackage(ClientKey(), std::move(*decoded), kLimits);
  if (!opened) return opened.error();
  return std::string(reinterpret_cast<const char*>(opened->plaintext.data()), opened->plaintext.size());
}

// How an attempt ended: its text, or the code; the latter too where no memory was left for a result.
struct Outcome {
  std::string code;
  std::string text;
};

template <class Attempt>
Outcome Ended(const Attempt& attempt) {
  try {
    auto result = attempt();
    if (!result) return {std::string(CodeName(result.error().code)), ""};
    return {"ok", std::move(*result)};
  } catch (const std::bad_alloc&) {
    return {"OUT_OF_MEMORY", ""};
  }
}

// Runs `attempt` with the first allocation failing, then with the second, until it comes to its end without a failure;
// `judge` sees what each ended with. Returns how many failed.
template <class Attempt, class Judge>
std::size_t ForEachAllocation(Then then, const Attempt& attempt, const Judge& judge) {
  static_cast<void>(attempt());  // what is made once is there afterwards
  for (std::size_t given = 0;; ++given) {
    SCOPED_TRACE(given);
    const auto before = LockedPool::Instance().stats();
    std::optional<Outcome> outcome;
    bool failed = false;
    {
      const FailingAllocation failing(given, then);
      // Its own strings must not be what fails.
      outcome = [&]() -> std::optional<Outcome> {
        try {
          return Ended(attempt);
        } catch (const std::bad_alloc&) {
          return std::nullopt;
        }
      }();
      failed = failing.failed();
    }
    const auto after = LockedPool::Instance().stats();
    EXPECT_EQ(after.allocations, before.allocations);
    EXPECT_EQ(after.bytes_in_use, before.bytes_in_use);
    if (outcome) judge(*outcome);
    if (!failed) {
      EXPECT_TRUE(outcome.has_value());
      return given;
    }
  }
}

class NoMemory : public testing::TestWithParam<Then> {
 protected:
  void SetUp() override {
    const std::size_t before = AllocationCount();
    const std::string some(100, 'x');
    if (AllocationCount() == before) GTEST_SKIP() << "a sanitizer has its own `new`";
    // What earlier tests have begun on other threads is in the pool's numbers until it ends.
    for (auto jobs = Executor::Instance().stats(); jobs.queued + jobs.running != 0;
         jobs = Executor::Instance().stats()) {
      std::this_thread::yield();
    }
  }
};

TEST_P(NoMemory, ASealedPackageIsWholeOrNotThere) {
  for (const Padding padding : {Padding::kNone, Padding::kBucket}) {
    const auto failed = ForEachAllocation(
        GetParam(), [&] { return Sealed(kJson, padding); },
        [](const Outcome& outcome) {
          if (outcome.code == "ok") {
            auto opened = Opened(outcome.text);
            ASSERT_TRUE(opened.ok());
            EXPECT_EQ(opened->substr(0, kJson.size()), kJson);
          } else {
            EXPECT_EQ(outcome.code, "OUT_OF_MEMORY");
          }
        });
    EXPECT_GT(failed, 2u);
  }
}

TEST_P(NoMemory, AnOpenedPackageIsWholeOrNotThere) {
  const std::string package = std::move(Sealed(kJson)).value();
  const auto failed = ForEachAllocation(
      GetParam(), [&] { return Opened(package); },
      [](const Outcome& outcome) {
        if (outcome.code == "ok") {
          EXPECT_EQ(outcome.text, kJson);
        } else {
          EXPECT_EQ(outcome.code, "OUT_OF_MEMORY");
        }
      });
  EXPECT_GT(failed, 1u);
  EXPECT_EQ(Opened(package).value(), kJson);  // the key is as it was
}

TEST_P(NoMemory, ABrokenPackageIsNeverOpened) {
  std::string package = std::move(Sealed(kJson)).value();
  const std::size_t at = package.find("\"tag\":\"") + 7;
  package[at] = package[at] == 'A' ? 'B' : 'A';
  const auto failed = ForEachAllocation(
      GetParam(), [&] { return Opened(package); },
      [](const Outcome& outcome) { EXPECT_TRUE(outcome.code == "DECRYPT" || outcome.code == "OUT_OF_MEMORY"); });
  EXPECT_GT(failed, 1u);
}

INSTANTIATE_TEST_SUITE_P(Memory, NoMemory, testing::Values(Then::kRecovers, Then::kStays),
                         [](const auto& chosen) { return chosen.param == Then::kStays ? "StaysAway" : "ComesBack"; });

}  // namespace
}  // namespace nomyo
