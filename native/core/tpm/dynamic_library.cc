#include "core/tpm/dynamic_library.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

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
namespace {

#if defined(_WIN32)

// System folders, and those that the application added on purpose; never the current or the program's folder.
void* Load(const char* name) {
  return LoadLibraryExA(name, nullptr, LOAD_LIBRARY_SEARCH_SYSTEM32 | LOAD_LIBRARY_SEARCH_USER_DIRS);
}

void Unload(void* handle) {
  FreeLibrary(static_cast<HMODULE>(handle));
}

void* Lookup(void* handle, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(handle), name));
}

std::string Reason(const char* name) {
  return std::string(name) + ": Windows error " + std::to_string(GetLastError());
}

#else

void* Load(const char* name) {
  int flags = RTLD_NOW | RTLD_LOCAL;
#if defined(RTLD_NODELETE)
  flags |= RTLD_NODELETE;
#endif
#if defined(RTLD_DEEPBIND) && !defined(NOMYO_UNDER_SANITIZER)
  flags |= RTLD_DEEPBIND;
#endif
  return dlopen(name, flags);
}

void Unload(void* handle) {
  dlclose(handle);
}

void* Lookup(void* handle, const char* name) {
  return dlsym(handle, name);
}

std::string Reason(const char* name) {
  const char* text = dlerror();
  return text != nullptr ? text : std::string(name) + ": not found";
}

#endif

}  // namespace

Result<DynamicLibrary> DynamicLibrary::Open(std::span<const char* const> names) {
  std::string reasons;
  for (const char* name : names) {
    if (void* handle = Load(name)) return DynamicLibrary(handle);
    if (!reasons.empty()) reasons += "; ";
    reasons += Reason(name);
  }
  return Error{Code::kNotFound, std::move(reasons)};
}

DynamicLibrary& DynamicLibrary::operator=(DynamicLibrary&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

DynamicLibrary::~DynamicLibrary() {
  if (handle_ != nullptr) Unload(handle_);
}

Status DynamicLibrary::Find(const char* name, void** address) const {
  *address = handle_ != nullptr ? Lookup(handle_, name) : nullptr;
  if (*address == nullptr) return Error{Code::kNotFound, Reason(name)};
  return Status::Ok();
}

std::string DynamicLibrary::PathOf(const void* symbol) {
#if defined(_WIN32)
  HMODULE module = nullptr;
  char path[MAX_PATH] = {};
  if (!GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                          static_cast<LPCSTR>(symbol), &module) ||
      GetModuleFileNameA(module, path, MAX_PATH) == 0) {
    return {};
  }
  return path;
#else
  Dl_info info{};
  if (dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return {};
  return info.dli_fname;
#endif
}

}  // namespace nomyo
