// DynamicLibrary: a system library that is loaded at run time, so that the package works where it is not installed.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "core/result.h"

namespace nomyo {

// DynamicLibrary owns one reference to a loaded library. Move-only. Any thread, but not two at once on one object.
//
// The library's symbols stay out of the process (RTLD_LOCAL), and its own calls go to its own dependencies first
// (RTLD_DEEPBIND where it exists): tpm2-tss needs the shared libcrypto, and without this would run Node's copy.
// Consequence: such a library may use another allocator than we do, so what it allocates it must free itself.
// A library once loaded stays mapped until the process ends (RTLD_NODELETE), since it may have registered destructors.
class DynamicLibrary {
 public:
  // Open loads the first of `names` (sonames, never paths from a user) that the system's loader finds. No environment
  // variable of ours and no folder beside the program is looked at. Error: kNotFound, with the loader's reasons.
  static Result<DynamicLibrary> Open(std::span<const char* const> names);

  DynamicLibrary() = default;
  DynamicLibrary(DynamicLibrary&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  DynamicLibrary& operator=(DynamicLibrary&& other) noexcept;
  DynamicLibrary(const DynamicLibrary&) = delete;
  DynamicLibrary& operator=(const DynamicLibrary&) = delete;
  ~DynamicLibrary();

  explicit operator bool() const { return handle_ != nullptr; }

  // Bind sets `function` to the symbol `name`. The type is the caller's: take it from the library's header with
  // decltype, so that the compiler checks every call. Error: kNotFound; `function` is null then.
  template <class Function>
  Status Bind(const char* name, Function*& function) const {
    void* address = nullptr;
    Status status = Find(name, &address);
    function = reinterpret_cast<Function*>(address);
    return status;
  }

  // PathOf returns the file that a symbol of this library was loaded from; empty when the system does not say.
  static std::string PathOf(const void* symbol);

 private:
  explicit DynamicLibrary(void* handle) : handle_(handle) {}
  Status Find(const char* name, void** address) const;
  // The system's own calls. Reason explains the last of them that failed, of `name`.
  static void* Load(const char* name);
  static void Unload(void* handle);
  static void* Lookup(void* handle, const char* name);
  static std::string Reason(const char* name);

  void* handle_ = nullptr;
};

}  // namespace nomyo
