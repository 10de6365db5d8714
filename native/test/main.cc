// OpenSSL's allocator is installed before anything else, as the addon does when it is loaded.
#include <gtest/gtest.h>

#include <cstdio>

#include "core/crypto/algorithms.h"

int main(int argc, char** argv) {
  if (const nomyo::Status status = nomyo::PrepareOpenSsl(); !status) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  testing::InitGoogleTest(&argc, argv);
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  return RUN_ALL_TESTS();
}
