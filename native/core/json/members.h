// ScanMembers: finds and takes away members of a JSON object in its bytes, so that the router can look at requests and
// answers in the pool without making JavaScript values of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/cancellation.h"
#include "core/result.h"

namespace nomyo {

// So many members of its own an object may have: what is asked of a model has a few dozen. What comes after is not
// looked at, so that the work of comparing names is bounded.
inline constexpr std::size_t kMostMembers = 4096;

struct MemberScan {
  std::vector<std::string> find;   // names whose values are wanted, in UTF-8
  std::vector<std::string> blank;  // names of members to be overwritten with spaces, with one comma each
  // Refuses a name that is not one of these but that a parser which ignores case, '_' and '-' takes for one (Go's does,
  // with Unicode's simple folding, and takes the last): it would be seen by others and not by us.
  bool refuse_folded = false;
  std::size_t max_depth = 0;  // as CheckJson's
};

struct ScannedMembers {
  struct Value {
    std::size_t begin;  // its first byte
    std::size_t end;    // one past its last
  };
  std::vector<std::optional<Value>> found;  // for each name of `find`
  std::size_t left = 0;                     // members that were not blanked
  std::size_t close = 0;                    // where the closing brace is
};

// ScanMembers checks that `text` is the JSON of one object (CheckJson), goes over its members once and blanks some.
// Time is in proportion to the bytes. If another thread changes the bytes meanwhile, only the outcome suffers. Any
// thread. Errors: kPlaintext, when the text is no such object, has more than kMostMembers members, a name twice (two
// parsers may take different ones, and so one text for two), or a folded one; nothing is blanked then. The message has
// no full stop, to be put into a sentence, and holds nothing of the text. kCancelled, kMemoryLock, kOutOfMemory.
Result<ScannedMembers> ScanMembers(std::span<std::uint8_t> text, const MemberScan& scan,
                                   const Cancellation* cancellation = nullptr);

}  // namespace nomyo
