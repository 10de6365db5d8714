#include "core/crypto/algorithms.h"

namespace nomyo {

const Algorithms& Algorithms::Get() {
  static const Algorithms algorithms{
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr),
      EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr),
      EVP_MD_fetch(nullptr, "SHA2-256", nullptr),
  };
  return algorithms;
}

}  // namespace nomyo
