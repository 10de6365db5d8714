#if defined(_WIN32)

#include "core/tpm/dynamic_library.h"

#include <windows.h>

namespace nomyo {

// System folders, and those that the application added on purpose; never the current or the program's folder.
void* DynamicLibrary::Load(const char* name) {
  return LoadLibraryExA(name, nullptr, LOAD_LIBRARY_SEARCH_SYSTEM32 | LOAD_LIBRARY_SEARCH_USER_DIRS);
}

void DynamicLibrary::Unload(void* handle) {
  FreeLibrary(static_cast<HMODULE>(handle));
}

void* DynamicLibrary::Lookup(void* handle, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(handle), name));
}

std::string DynamicLibrary::Reason(const char* name) {
  return std::string(name) + ": Windows error " + std::to_string(GetLastError());
}

std::string DynamicLibrary::PathOf(const void* symbol) {
  HMODULE module = nullptr;
  char path[MAX_PATH] = {};
  if (!GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                          static_cast<LPCSTR>(symbol), &module) ||
      GetModuleFileNameA(module, path, MAX_PATH) == 0) {
    return {};
  }
  return path;
}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
