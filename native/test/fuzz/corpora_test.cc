// Each input of the fuzzers' corpora and seeds, once, through the target it is for: so that CI's sanitizers see all
// that fuzzing has kept, without libFuzzer. The targets are compiled in under names of their own
// (native/CMakeLists.txt); what they find ends the program.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#define NOMYO_TARGET(name) extern "C" int Fuzz_##name(const std::uint8_t* data, std::size_t size);
NOMYO_FUZZ_TARGETS
#undef NOMYO_TARGET

namespace {

struct Target {
  const char* name;
  int (*run)(const std::uint8_t* data, std::size_t size);
};

#define NOMYO_TARGET(name) Target{#name, Fuzz_##name},
constexpr auto kTargets = std::to_array<Target>({NOMYO_FUZZ_TARGETS});
#undef NOMYO_TARGET

// A target that finds something aborts: then this says at what.
std::array<char, 512> g_input{};

void TellInput(int) {
  if (write(STDERR_FILENO, g_input.data(), std::strlen(g_input.data())) < 0) _exit(2);
}

std::vector<std::filesystem::path> InputsOf(const std::string& name) {
  std::vector<std::filesystem::path> inputs;
  for (const char* folder : {NOMYO_FUZZ_CORPUS_DIR, NOMYO_FUZZ_SEEDS_DIR}) {
    const std::filesystem::path of_target = std::filesystem::path(folder) / name;
    if (!std::filesystem::is_directory(of_target)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(of_target)) inputs.push_back(entry.path());
  }
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

class Corpora : public testing::TestWithParam<Target> {};

TEST_P(Corpora, AreBorne) {
  const std::vector<std::filesystem::path> inputs = InputsOf(GetParam().name);
  EXPECT_FALSE(inputs.empty());
  auto* const before = std::signal(SIGABRT, TellInput);
  for (const std::filesystem::path& path : inputs) {
    const std::string told = "at the input " + path.string() + "\n";
    g_input.fill('\0');
    std::copy_n(told.begin(), std::min(told.size(), g_input.size() - 1), g_input.begin());
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    // Memory of just this length, so that a byte too many shows.
    const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
    EXPECT_EQ(GetParam().run(exact.data(), exact.size()), 0);
  }
  std::signal(SIGABRT, before);
}

INSTANTIATE_TEST_SUITE_P(, Corpora, testing::ValuesIn(kTargets),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
