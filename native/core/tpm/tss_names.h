// What tpm2-tss's libraries are called by each system's loader: the sonames of releases 2.x to 4.x.
#pragma once

namespace nomyo {

#if defined(__linux__)
inline constexpr const char* kTssMuNames[] = {"libtss2-mu.so.0", "libtss2-mu.so.1"};
inline constexpr const char* kTssEsysNames[] = {"libtss2-esys.so.0"};
inline constexpr const char* kTssTctiLdrNames[] = {"libtss2-tctildr.so.0"};
#elif defined(__APPLE__)
inline constexpr const char* kTssMuNames[] = {"libtss2-mu.0.dylib"};
inline constexpr const char* kTssEsysNames[] = {"libtss2-esys.0.dylib"};
inline constexpr const char* kTssTctiLdrNames[] = {"libtss2-tctildr.0.dylib"};
#elif defined(_WIN32)
inline constexpr const char* kTssMuNames[] = {"tss2-mu.dll", "libtss2-mu.dll"};
inline constexpr const char* kTssEsysNames[] = {"tss2-esys.dll"};
inline constexpr const char* kTssTctiLdrNames[] = {"tss2-tctildr.dll"};
#else
#error "Say what tpm2-tss's libraries are called on this system."
#endif

}  // namespace nomyo
