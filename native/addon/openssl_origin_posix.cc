#if defined(__linux__) || defined(__APPLE__)

#include "addon/openssl_origin.h"

#include <dlfcn.h>
#include <openssl/evp.h>

namespace nomyo::addon {

// dladdr says which file the function that we call is in; our own code's file is the only right answer.
bool OpenSslIsOurOwn() noexcept {
  Dl_info ours{};
  Dl_info openssl{};
  return dladdr(reinterpret_cast<void*>(&OpenSslIsOurOwn), &ours) != 0 &&
         dladdr(reinterpret_cast<void*>(&EVP_EncryptInit_ex), &openssl) != 0 && ours.dli_fbase == openssl.dli_fbase;
}

}  // namespace nomyo::addon

#else
#error "This file is for Linux and macOS: native/CMakeLists.txt takes each system's own."
#endif
