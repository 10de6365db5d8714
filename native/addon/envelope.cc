#include "addon/envelope.h"

namespace nomyo::addon {

void InitEnvelope(Napi::Env, Napi::Object) {}

}  // namespace nomyo::addon
