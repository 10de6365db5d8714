// CheckJson on any bytes; what it accepts is walked, decoded and searched in every way.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/json/check.h"
#include "core/json/cursor.h"
#include "core/json/pointer.h"
#include "core/json/string.h"
#include "core/memory/locking.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> text(data, size);
  nomyo::LockingScope scope(nomyo::Locking::kPreferred);
  // The cursor stays inside whatever it is given.
  static_cast<void>(nomyo::JsonCursor(text).SkipValue());
  static_cast<void>(nomyo::FindPointer(text, "/a/0"));
  if (!nomyo::CheckJson(text, 64)) return 0;
  nomyo::JsonCursor cursor(text);
  for (std::uint8_t next = cursor.Peek(); next != 0; next = cursor.Peek()) {
    if (next == '"') {
      const nomyo::JsonString string = cursor.String();
      std::vector<std::uint8_t> utf8(string.raw.size());
      bool lone = false;
      const std::size_t length = nomyo::DecodeUtf8(string.raw, utf8.data(), &lone);
      if (!string.escaped && length != string.raw.size()) std::abort();
      nomyo::StringDecoder decoder(string.raw);
      char16_t units[7];
      while (decoder.Next(units) != 0) continue;
      nomyo::StringDecoder narrow(string.raw);
      std::uint8_t bytes[5];
      while (!narrow.done()) {
        if (!narrow.NextLatin1(bytes)) break;
      }
    } else if (next == '-' || (next >= '0' && next <= '9')) {
      static_cast<void>(nomyo::ParseNumber(cursor.Number()));
    } else if (next == 't' || next == 'n') {
      cursor.Word(4);
    } else if (next == 'f') {
      cursor.Word(5);
    } else {
      cursor.Take();
    }
  }
  for (const char* pointer : {"", "/", "/a", "/a/0", "/0/b~1"}) static_cast<void>(nomyo::FindPointer(text, pointer));
  return 0;
}
