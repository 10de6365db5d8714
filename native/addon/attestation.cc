#include "addon/attestation.h"

namespace nomyo::addon {

void InitAttestation(Napi::Env, Napi::Object) {}

}  // namespace nomyo::addon
