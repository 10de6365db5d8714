#include "addon/memory.h"

namespace nomyo::addon {

void InitMemory(Napi::Env, Napi::Object) {}

}  // namespace nomyo::addon
