// ReadJson: JSON text from outside, read once and strictly.
#pragma once

#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/result.h"

namespace nomyo {

// JsonTree is what was read. The library's own destructor allocates, for each container that is not empty, and ends the
// process where there is no memory for it; this one takes the tree apart without.
struct JsonTree {
  nlohmann::json root;

  JsonTree() = default;
  JsonTree(JsonTree&&) noexcept = default;
  JsonTree& operator=(JsonTree&&) = delete;
  ~JsonTree();
};

// ReadJson parses `text` (RFC 8259, UTF-8) without recursion. It refuses what two readers could read differently: a
// duplicate key, a byte order mark, a lone surrogate, bytes after the value; and what only an attacker sends: more than
// `max_bytes`, or objects and arrays nested more than `max_depth` deep. Any thread.
// Errors: kTooLarge, kInvalidArgument; the message ends without a full stop, to be put into a sentence.
Result<JsonTree> ReadJson(std::string_view text, std::size_t max_bytes, std::size_t max_depth);

}  // namespace nomyo
