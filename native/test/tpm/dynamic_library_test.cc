#include "core/tpm/dynamic_library.h"

#include <cmath>
#include <type_traits>

#include <gtest/gtest.h>

namespace nomyo {
namespace {

#if defined(__linux__)
constexpr const char* kMath[] = {"libnomyo-not-there.so.9", "libm.so.6"};
#elif defined(__APPLE__)
constexpr const char* kMath[] = {"libnomyo-not-there.9.dylib", "libSystem.B.dylib"};
#else
constexpr const char* kMath[] = {"nomyo-not-there-9.dll", "ucrtbase.dll"};
#endif

TEST(DynamicLibrary, LoadsTheFirstNameThatExistsAndCallsIntoIt) {
  auto library = DynamicLibrary::Open(kMath);
  ASSERT_TRUE(library) << library.error().message;
  double (*cosine)(double) = nullptr;
  ASSERT_TRUE(library->Bind("cos", cosine));
  EXPECT_EQ(cosine(0.0), 1.0);
  EXPECT_FALSE(DynamicLibrary::PathOf(reinterpret_cast<const void*>(cosine)).empty());
}

TEST(DynamicLibrary, SaysWhyNoneOfTheNamesCouldBeLoaded) {
  constexpr const char* kNone[] = {"libnomyo-not-there.so.9", "libnomyo-nor-this.so"};
  const auto library = DynamicLibrary::Open(kNone);
  ASSERT_FALSE(library);
  EXPECT_EQ(library.error().code, Code::kNotFound);
  EXPECT_NE(library.error().message.find("libnomyo-not-there.so.9"), std::string::npos);
  EXPECT_NE(library.error().message.find("libnomyo-nor-this.so"), std::string::npos);
}

TEST(DynamicLibrary, LeavesAMissingFunctionNull) {
  auto library = DynamicLibrary::Open(kMath);
  ASSERT_TRUE(library);
  void (*function)() = reinterpret_cast<void (*)()>(1);
  const Status status = library->Bind("nomyo_no_such_function", function);
  EXPECT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kNotFound);
  EXPECT_EQ(function, nullptr);
}

TEST(DynamicLibrary, IsMovedAndNeverCopied) {
  static_assert(!std::is_copy_constructible_v<DynamicLibrary>);
  auto opened = DynamicLibrary::Open(kMath);
  ASSERT_TRUE(opened);
  DynamicLibrary first = std::move(opened).value();
  DynamicLibrary second = std::move(first);
  double (*cosine)(double) = nullptr;
  EXPECT_TRUE(second.Bind("cos", cosine));
}

}  // namespace
}  // namespace nomyo
