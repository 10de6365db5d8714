// The addon's entry: one Init for each folder of the core. lib/native.ts is the typed list of what they export.
#include <napi.h>

#include "addon/attestation.h"
#include "addon/build_info.h"
#include "addon/chat_events.h"
#include "addon/crypto.h"
#include "addon/descriptor.h"
#include "addon/digest.h"
#include "addon/echo.h"
#include "addon/environment.h"
#include "addon/file_lock.h"
#include "addon/job.h"
#include "addon/json_members.h"
#include "addon/memory.h"
#include "addon/open.h"
#include "addon/seal.h"

namespace nomyo::addon {

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  // First whose OpenSSL it is: nothing of another copy may be touched.
  InitBuildInfo(env, exports);
  if (env.IsExceptionPending()) return exports;
  // Then memory: OpenSSL's allocator can be replaced only before its first allocation.
  InitMemory(env, exports);
  if (env.IsExceptionPending()) return exports;
  Environment::Attach(env);
  InitJob(env, exports);
  InitCrypto(env, exports);
  InitFileLock(env, exports);
  InitDescriptor(env, exports);
  InitJsonMembers(env, exports);
  InitEcho(env, exports);
  InitChatEvents(env, exports);
  InitSeal(env, exports);
  InitOpen(env, exports);
  InitDigest(env, exports);
  if (env.IsExceptionPending()) return exports;
  InitAttestation(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(nomyo_native, Init)

}  // namespace nomyo::addon
