#if defined(__linux__) || defined(__APPLE__)

#include "addon/external_text.h"

#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "core/memory/cleanse.h"

// Weak: on a Node that does not have them they are null.
extern "C" {
[[gnu::weak]] napi_status NAPI_CDECL node_api_create_external_string_latin1(napi_env env, char* text,
                                                                            std::size_t length, napi_finalize finalize,
                                                                            void* hint, napi_value* result,
                                                                            bool* copied);
[[gnu::weak]] napi_status NAPI_CDECL node_api_create_external_string_utf16(napi_env env, char16_t* text,
                                                                           std::size_t length, napi_finalize finalize,
                                                                           void* hint, napi_value* result,
                                                                           bool* copied);
}

namespace nomyo::addon {
namespace {

// V8's longest string on 64-bit systems, in code units.
constexpr std::size_t kMostUnits = (std::size_t{1} << 29) - 24;

struct Text {
  BulkMemory memory;
  std::size_t written = 0;  // bytes
};

// Also called with no environment, when that has ended before the string: nothing of Node-API is used here.
void Wipe(napi_env, void*, void* hint) {
  const std::unique_ptr<Text> text(static_cast<Text*>(hint));
  Cleanse(text->memory.data(), text->written);
}

template <class Unit, class Create>
napi_status Make(napi_env env, BulkMemory memory, std::size_t length, std::size_t written, napi_value* result,
                 Create create) {
  // Checked here, because after the call the memory belongs to Node whatever comes of it.
  if (length > kMostUnits) {
    Cleanse(memory.data(), written);
    return napi_invalid_arg;
  }
  auto* const units = reinterpret_cast<Unit*>(memory.data());
  std::unique_ptr<Text> text(new (std::nothrow) Text);
  if (text == nullptr) {
    Cleanse(memory.data(), written);
    return napi_generic_failure;
  }
  *text = {std::move(memory), written};
  bool copied = false;
  return create(env, units, length, Wipe, text.release(), result, &copied);
}

}  // namespace

bool HasExternalText() noexcept {
  return node_api_create_external_string_latin1 != nullptr && node_api_create_external_string_utf16 != nullptr;
}

napi_status NewExternalLatin1(napi_env env, BulkMemory memory, std::size_t length, std::size_t written,
                              napi_value* result) {
  return Make<char>(env, std::move(memory), length, written, result, node_api_create_external_string_latin1);
}

napi_status NewExternalUtf16(napi_env env, BulkMemory memory, std::size_t length, std::size_t written,
                             napi_value* result) {
  return Make<char16_t>(env, std::move(memory), length, written, result, node_api_create_external_string_utf16);
}

}  // namespace nomyo::addon

#else
#error "This file is for Linux and macOS: native/CMakeLists.txt takes each system's own."
#endif
