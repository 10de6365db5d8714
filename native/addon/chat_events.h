// A chat completion in the pool as server-sent events: core/json/chat_events as an export.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitChatEvents(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
