// TextReader: reads JavaScript strings, a piece at a time, into pool memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <napi.h>

#include "addon/property.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo::addon {

// The longest piece of text that is read from V8 at once, in UTF-16 code units (lib/envelope/seal.ts cuts to this).
inline constexpr std::size_t kPieceUnits = std::size_t{16} * 1024;

// TextReader is used by one call, on the JavaScript thread, under that thread's Locking. What it read is wiped with
// it.
class TextReader {
 public:
  explicit TextReader(Napi::Env env) : env_(env) {}

  // Read calls latin1(bytes) or utf16(units) for each piece of `text`: a Latin-1 string, or { wide, pieces }. Errors:
  // kInvalidArgument when it is something else, or a piece is too long (where a getter threw, its exception is
  // pending); kMemoryLock, kOutOfMemory; theirs. Pieces before the error have been read then.
  template <class Latin1, class Utf16>
  Status Read(napi_value text, Latin1 latin1, Utf16 utf16) {
    const Napi::Value value(env_, text);
    if (value.IsString()) return ReadPiece(value, false, latin1, utf16);
    if (!value.IsObject()) return WrongType();
    const auto pieces = GetProperty(env_, value, "pieces");
    if (!pieces || !pieces->IsArray()) return WrongType();
    const auto given = GetProperty(env_, value, "wide");
    bool wide = false;
    if (!given || napi_get_value_bool(env_, *given, &wide) != napi_ok) return WrongType();
    const std::uint32_t count = pieces->As<Napi::Array>().Length();
    for (std::uint32_t i = 0; i < count; ++i) {
      Napi::HandleScope scope(env_);
      const auto piece = GetElement(env_, *pieces, i);
      if (!piece) return WrongType();
      Status status = ReadPiece(*piece, wide, latin1, utf16);
      if (!status) return status;
    }
    return Status::Ok();
  }

 private:
  static Status WrongType() {
    return Error{Code::kInvalidArgument, "seal: expected strings as lib/envelope cuts them."};
  }

  template <class Latin1, class Utf16>
  Status ReadPiece(const Napi::Value& piece, bool wide, Latin1& latin1, Utf16& utf16) {
    std::size_t length = 0;
    if (napi_get_value_string_latin1(env_, piece, nullptr, 0, &length) != napi_ok || length > kPieceUnits) {
      return WrongType();
    }
    // Room for the zero that Node-API writes after the text.
    const std::size_t bytes = (length + 1) * (wide ? sizeof(char16_t) : 1);
    if (scratch_.size() < bytes) {
      auto scratch = SecureBuffer::Allocate(bytes);
      if (!scratch) return scratch.error();
      scratch_ = std::move(*scratch);
    }
    std::size_t copied = 0;
    if (wide) {
      auto* units = reinterpret_cast<char16_t*>(scratch_.data());
      if (napi_get_value_string_utf16(env_, piece, units, length + 1, &copied) != napi_ok) return WrongType();
      return utf16(std::span<const char16_t>(units, copied));
    }
    auto* chars = reinterpret_cast<char*>(scratch_.data());
    if (napi_get_value_string_latin1(env_, piece, chars, length + 1, &copied) != napi_ok) return WrongType();
    return latin1(std::span<const std::uint8_t>(scratch_.data(), copied));
  }

  Napi::Env env_;
  SecureBuffer scratch_;
};

}  // namespace nomyo::addon
