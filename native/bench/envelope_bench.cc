// The core's speed without Node: each kernel alone, then sealing and opening whole packages.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/crypto/aes_gcm.h"
#include "core/crypto/algorithms.h"
#include "core/crypto/rsa_key.h"
#include "core/crypto/rsa_oaep.h"
#include "core/envelope/opener.h"
#include "core/envelope/sealer.h"
#include "core/json/base64.h"
#include "core/json/check.h"
#include "core/json/text_scan.h"
#include "core/memory/locking.h"

namespace {

using nomyo::OpenLimits;

constexpr OpenLimits kLimits{64 << 20, 64};

std::span<const std::uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Prose: a line end about every 70 characters, a quote now and then.
std::string Prose(std::size_t size) {
  std::string text;
  while (text.size() < size) {
    text +=
        "The ward round started at eight; every \"stable\" patient had been seen\nby nine, and the notes were signed. ";
  }
  text.resize(size);
  return text;
}

void SetBytes(benchmark::State& state) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}

void Base64Encode(benchmark::State& state) {
  const std::string bytes = Prose(static_cast<std::size_t>(state.range(0)));
  std::string text(nomyo::Base64EncodedSize(bytes.size()), '\0');
  for (auto _ : state) {
    nomyo::Base64Encode(Bytes(bytes), text.data());
    benchmark::ClobberMemory();
  }
  state.SetLabel(nomyo::Base64Target());
  SetBytes(state);
}

void Base64EncodeOpenSsl(benchmark::State& state) {
  const std::string bytes = Prose(static_cast<std::size_t>(state.range(0)));
  std::vector<std::uint8_t> text(nomyo::Base64EncodedSize(bytes.size()) + 1);
  for (auto _ : state) {
    EVP_EncodeBlock(text.data(), Bytes(bytes).data(), static_cast<int>(bytes.size()));
    benchmark::ClobberMemory();
  }
  SetBytes(state);
}

void Base64Decode(benchmark::State& state) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(state.range(0)));
  std::string text(nomyo::Base64EncodedSize(bytes.size()), '\0');
  nomyo::Base64Encode(Bytes(Prose(bytes.size())), text.data());
  for (auto _ : state) {
    if (!nomyo::Base64Decode(text, bytes)) state.SkipWithError("not decoded");
    benchmark::ClobberMemory();
  }
  SetBytes(state);
}

void AesGcmInPlace(benchmark::State& state) {
  const std::array<std::uint8_t, nomyo::kAesKeyBytes> key{};
  const std::array<std::uint8_t, nomyo::kGcmNonceBytes> nonce{};
  std::vector<std::uint8_t> data(static_cast<std::size_t>(state.range(0)));
  auto encryptor = nomyo::AesGcmEncryptor::Start(key, nonce);
  for (auto _ : state) {
    if (!encryptor->Encrypt(data)) state.SkipWithError("not encrypted");
  }
  SetBytes(state);
}

void EscapeText(benchmark::State& state) {
  const std::string text = Prose(static_cast<std::size_t>(state.range(0)));
  std::vector<std::uint8_t> out(text.size() * 2);
  for (auto _ : state) {
    benchmark::DoNotOptimize(nomyo::EscapeLatin1(Bytes(text), out));
    benchmark::ClobberMemory();
  }
  SetBytes(state);
}

void CheckJson(benchmark::State& state) {
  std::string text = "{\"content\":\"";
  for (const char c : Prose(static_cast<std::size_t>(state.range(0)))) {
    text += c == '\n' ? "\\n" : c == '"' ? "\\\"" : std::string(1, c);
  }
  text += "\"}";
  for (auto _ : state) {
    if (!nomyo::CheckJson(Bytes(text), 64)) state.SkipWithError("not JSON");
  }
  SetBytes(state);
}

struct Keys {
  nomyo::RsaPrivateKey key;
  nomyo::RsaPublicKey public_key;
  nomyo::OaepEncryptor encryptor;
  nomyo::KeyWrapper wrapper;
};

Keys& RsaKeys() {
  static Keys keys = [] {
    auto key = nomyo::RsaPrivateKey::Generate(4096);
    auto public_key = key->PublicKey();
    auto encryptor = nomyo::OaepEncryptor::For(*public_key);
    auto wrapper = nomyo::KeyWrapper::For(*public_key);
    return Keys{std::move(*key), std::move(*public_key), std::move(*encryptor), std::move(*wrapper)};
  }();
  return keys;
}

nomyo::PackageBytes SealText(const std::string& text) {
  Keys& keys = RsaKeys();
  auto sealer = nomyo::Sealer::Start(keys.wrapper,
                                     {64 << 20, text.size() + text.size() / 32, nomyo::Padding::kNone, std::nullopt});
  nomyo::JsonWriter& writer = (*sealer)->writer();
  // As the addon hands text over: in pieces of 16 Ki characters.
  bool ok = writer.RawLatin1(Bytes("{\"content\":\"")).ok();
  for (auto left = Bytes(text); ok && !left.empty();) {
    const auto piece = left.first(std::min<std::size_t>(left.size(), 16 * 1024));
    ok = writer.StringLatin1(piece).ok();
    left = left.subspan(piece.size());
  }
  ok = ok && writer.RawLatin1(Bytes("\"}")).ok();
  auto package = (*sealer)->Finish();
  return std::move(*package);
}

void Seal(benchmark::State& state) {
  const std::string text = Prose(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(SealText(text));
  SetBytes(state);
}

void DecodePackage(benchmark::State& state) {
  const nomyo::PackageBytes package = SealText(Prose(static_cast<std::size_t>(state.range(0))));
  for (auto _ : state) {
    benchmark::DoNotOptimize(nomyo::DecodePackage({package.data(), package.size()}, kLimits));
  }
  SetBytes(state);
}

void Open(benchmark::State& state) {
  const nomyo::PackageBytes package = SealText(Prose(static_cast<std::size_t>(state.range(0))));
  for (auto _ : state) {
    auto decoded = nomyo::DecodePackage({package.data(), package.size()}, kLimits);
    auto opened = nomyo::OpenPackage(RsaKeys().key, std::move(*decoded), kLimits);
    if (!opened) state.SkipWithError("not opened");
  }
  SetBytes(state);
}

void RsaOaepDecrypt4096(benchmark::State& state) {
  Keys& keys = RsaKeys();
  std::vector<std::uint8_t> wrapped(keys.public_key.size());
  const std::array<std::uint8_t, nomyo::kAesKeyBytes> aes_key{};
  if (!keys.encryptor.Encrypt(aes_key, wrapped)) state.SkipWithError("not wrapped");
  for (auto _ : state) {
    if (!nomyo::OaepDecrypt(keys.key, wrapped)) state.SkipWithError("not unwrapped");
  }
}

void RsaOaepEncrypt4096(benchmark::State& state) {
  Keys& keys = RsaKeys();
  std::vector<std::uint8_t> wrapped(keys.public_key.size());
  const std::array<std::uint8_t, nomyo::kAesKeyBytes> aes_key{};
  for (auto _ : state) {
    if (!keys.encryptor.Encrypt(aes_key, wrapped)) state.SkipWithError("not wrapped");
  }
}

constexpr std::int64_t kSizes[] = {1 << 10, 32 << 10, 1 << 20, 9'000'000};

void Sizes(benchmark::internal::Benchmark* bench) {
  for (const std::int64_t size : kSizes) bench->Arg(size);
}

BENCHMARK(Base64Encode)->Apply(Sizes);
BENCHMARK(Base64EncodeOpenSsl)->Arg(1 << 20);
BENCHMARK(Base64Decode)->Apply(Sizes);
BENCHMARK(AesGcmInPlace)->Arg(48 << 10)->Arg(1 << 20);
BENCHMARK(EscapeText)->Arg(16 << 10)->Arg(1 << 20);
BENCHMARK(CheckJson)->Apply(Sizes);
BENCHMARK(Seal)->Apply(Sizes)->Unit(benchmark::kMicrosecond);
BENCHMARK(DecodePackage)->Apply(Sizes)->Unit(benchmark::kMicrosecond);
BENCHMARK(Open)->Apply(Sizes)->Unit(benchmark::kMicrosecond);
BENCHMARK(RsaOaepDecrypt4096)->Unit(benchmark::kMicrosecond);
BENCHMARK(RsaOaepEncrypt4096)->Unit(benchmark::kMicrosecond);

}  // namespace

int main(int argc, char** argv) {
  if (!nomyo::PrepareOpenSsl()) return 1;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
