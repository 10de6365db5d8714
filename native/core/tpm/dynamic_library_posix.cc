#if defined(__linux__) || defined(__APPLE__)

#include "core/tpm/dynamic_library.h"

#include <dlfcn.h>

// The sanitizers' runtimes must see every malloc; they abort on RTLD_DEEPBIND.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define NOMYO_UNDER_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NOMYO_UNDER_SANITIZER 1
#endif

namespace nomyo {

void* DynamicLibrary::Load(const char* name) {
  int flags = RTLD_NOW | RTLD_LOCAL;
#if defined(RTLD_NODELETE)
  flags |= RTLD_NODELETE;
#endif
#if defined(RTLD_DEEPBIND) && !defined(NOMYO_UNDER_SANITIZER)
  flags |= RTLD_DEEPBIND;
#endif
  return dlopen(name, flags);
}

void DynamicLibrary::Unload(void* handle) {
  dlclose(handle);
}

void* DynamicLibrary::Lookup(void* handle, const char* name) {
  return dlsym(handle, name);
}

std::string DynamicLibrary::Reason(const char* name) {
  const char* text = dlerror();
  return text != nullptr ? text : std::string(name) + ": not found";
}

std::string DynamicLibrary::PathOf(const void* symbol) {
  Dl_info info{};
  if (dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return {};
  return info.dli_fname;
}

}  // namespace nomyo

#else
#error "This file is for Linux and macOS: native/CMakeLists.txt takes each system's own."
#endif
