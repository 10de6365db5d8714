#include "core/tpm/dynamic_library.h"

namespace nomyo {

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

}  // namespace nomyo
