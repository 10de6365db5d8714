// How long verification takes, from the block's JSON to the report, with the policy read each time: what one call of
// the addon costs without JavaScript, with a key that was seen before. The blocks are quotes of a software
// TPM (test/vectors).
#include <benchmark/benchmark.h>

#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "core/attestation/policy.h"
#include "core/attestation/report.h"
#include "core/attestation/verifier.h"
#include "core/crypto/algorithms.h"
#include "core/memory/locking.h"

namespace {

constexpr const char* kPolicy =
    R"({"version":1,"mode":"require","banks":["sha1","sha256"],"required":{"sha256":[0,7,10]},)"
    R"("profiles":[{"name":"any","pcrs":{"sha256":{"0":"any","7":"any","10":"any"}}}]})";

void Verify(benchmark::State& state, const char* name) {
  std::ifstream file(std::string(NOMYO_VECTORS_DIR "/attestation/") + name + ".json");
  const nlohmann::json vector = nlohmann::json::parse(file);
  const std::string block = vector["tpm_attestation"].dump();
  const std::string payload_id = vector["payload_id"];
  nomyo::Bytes nonce = nomyo::Digest(*nomyo::HashByName("sha256"),
                                     {{reinterpret_cast<const std::uint8_t*>(payload_id.data()), payload_id.size()}})
                           .value();
  nonce.resize(16);
  for (auto _ : state) {
    const nomyo::Result<nomyo::Policy> policy = nomyo::ReadPolicy(kPolicy);
    const nomyo::Result<nomyo::Report> report = nomyo::VerifyAttestation(block, nonce, policy.value(), nullptr);
    if (!report || !report.value().checks.Verified()) {
      state.SkipWithError("the block did not verify");
      break;
    }
    benchmark::DoNotOptimize(report.value().checks.Verified());
  }
}

BENCHMARK_CAPTURE(Verify, rsa2048_rsassa, "rsa2048-rsassa-sha256")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Verify, rsa2048_rsapss, "rsa2048-rsapss-sha256")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Verify, rsa2048_24_pcrs, "rsa-24-pcrs")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Verify, ecc_p256, "ecc-p256-ecdsa-sha256")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Verify, ecc_p384, "ecc-p384-sig-sha384")->Unit(benchmark::kMicrosecond);

}  // namespace

// As in the addon: OpenSSL allocates from the pool, and nothing of a quote needs to be locked.
int main(int argc, char** argv) {
  if (!nomyo::PrepareOpenSsl()) return 1;
  const nomyo::LockingScope unlocked(nomyo::Locking::kOff);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
