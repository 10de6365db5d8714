#if defined(_WIN32)

#include "addon/openssl_origin.h"

namespace nomyo::addon {

// Windows binds symbols for each library at link time, so there is nothing to check.
bool OpenSslIsOurOwn() noexcept {
  return true;
}

}  // namespace nomyo::addon

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
