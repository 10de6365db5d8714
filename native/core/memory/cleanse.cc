#include "core/memory/cleanse.h"

#include <openssl/crypto.h>

namespace nomyo {

void Cleanse(void* data, std::size_t size) noexcept {
  if (size != 0) OPENSSL_cleanse(data, size);
}

}  // namespace nomyo
