#include "addon/crypto.h"

namespace nomyo::addon {

void InitCrypto(Napi::Env, Napi::Object) {}

}  // namespace nomyo::addon
