#if defined(_WIN32)

#include "addon/external_text.h"

namespace nomyo::addon {

// Windows has no weak symbols: the functions could not be left out of a Node that does not have them.
bool HasExternalText() noexcept {
  return false;
}

napi_status NewExternalLatin1(napi_env, BulkMemory, std::size_t, std::size_t, napi_value*) {
  return napi_generic_failure;
}

napi_status NewExternalUtf16(napi_env, BulkMemory, std::size_t, std::size_t, napi_value*) {
  return napi_generic_failure;
}

}  // namespace nomyo::addon

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
