#include "core/json/members.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/json/check.h"
#include "core/json/cursor.h"
#include "core/json/string.h"
#include "core/memory/secure_buffer.h"

namespace nomyo {
namespace {

Error NotUsable(std::string why) {
  return {Code::kPlaintext, std::move(why)};
}

// The names that were met, in pool memory: they are of the plaintext, though only pointers to it.
class Names {
 public:
  Status Add(const JsonString& name) {
    if (count_ == kMostMembers) return NotUsable("it has more than " + std::to_string(kMostMembers) + " members");
    if ((count_ + 1) * sizeof(JsonString) > memory_.size()) {
      auto larger = SecureBuffer::Allocate(std::max<std::size_t>(32, 2 * count_) * sizeof(JsonString));
      if (!larger) return larger.error();
      if (count_ != 0) std::memcpy(larger->data(), memory_.data(), count_ * sizeof(JsonString));
      memory_ = std::move(*larger);
    }
    std::memcpy(memory_.data() + count_++ * sizeof(JsonString), &name, sizeof(JsonString));
    return Status::Ok();
  }

  // Whether two of them stand for the same; sorts them. As a heap: should somebody rewrite the names meanwhile, the
  // order contradicts itself, and std::sort then leaves its range.
  bool HasTwice() {
    const std::span<JsonString> names(reinterpret_cast<JsonString*>(memory_.data()), count_);
    const auto before = [](const JsonString& a, const JsonString& b) { return CompareText(a, b) < 0; };
    std::make_heap(names.begin(), names.end(), before);
    std::sort_heap(names.begin(), names.end(), before);
    return std::adjacent_find(names.begin(), names.end(), [](const JsonString& a, const JsonString& b) {
             return CompareText(a, b) == 0;
           }) != names.end();
  }

  std::size_t count() const { return count_; }

 private:
  SecureBuffer memory_;
  std::size_t count_ = 0;
};

std::optional<std::size_t> IndexOf(const JsonString& name, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (IsText(name, names[i])) return i;
  }
  return std::nullopt;
}

}  // namespace

Result<ScannedMembers> ScanMembers(std::span<std::uint8_t> text, const MemberScan& scan,
                                   const Cancellation* cancellation) {
  auto facts = CheckJson(text, scan.max_depth, cancellation);
  if (!facts) {
    if (facts.error().code != Code::kPlaintext) return facts.error();
    return NotUsable("it is not the JSON of one object in UTF-8, or nested too deeply");
  }
  const auto offset = [begin = text.data()](const std::uint8_t* at) { return static_cast<std::size_t>(at - begin); };
  ScannedMembers scanned;
  scanned.found.resize(scan.find.size());
  Names names;
  std::vector<std::pair<std::size_t, std::size_t>> blanks;  // from, to
  bool comma_is_due = false;                                // the next comma goes with the member before it
  JsonCursor cursor(text, facts->long_strings, cancellation);
  cursor.Peek();
  cursor.Take();
  for (;;) {
    cursor.Peek();
    const std::size_t before = offset(cursor.position());  // the comma, from the second member on
    if (!cursor.More('}')) {
      scanned.close = before;
      break;
    }
    if (std::exchange(comma_is_due, false)) blanks.emplace_back(before, before + 1);
    cursor.Peek();
    const std::size_t start = offset(cursor.position());
    const JsonString name = cursor.String();
    cursor.Peek();
    cursor.Take();
    cursor.Peek();
    const std::size_t value = offset(cursor.position());
    cursor.SkipValue();
    const std::size_t end = offset(cursor.position());
    if (const Status status = names.Add(name); !status) return status.error();
    if (const auto found = IndexOf(name, scan.find)) scanned.found[*found] = {value, end};
    if (IndexOf(name, scan.blank)) {
      // With a member before it that stays its own comma goes, or else the one after it.
      if (scanned.left != 0) {
        blanks.emplace_back(before, end);
      } else {
        blanks.emplace_back(start, end);
        comma_is_due = true;
      }
    } else {
      ++scanned.left;
      for (const auto* list : {&scan.find, &scan.blank}) {
        if (!scan.refuse_folded || IndexOf(name, *list)) continue;
        for (const std::string& known : *list) {
          if (FoldsTo(name, known)) return NotUsable("some parsers take one of its names for \"" + known + "\"");
        }
      }
    }
  }
  // A cancelled walk ends early, and knows nothing of what it has not seen.
  if (IsCancelled(cancellation)) return Error{Code::kCancelled, "The work was cancelled."};
  if (names.HasTwice()) return NotUsable("a name occurs twice");
  for (const auto& [from, to] : blanks) std::fill(text.data() + from, text.data() + to, std::uint8_t{' '});
  return scanned;
}

}  // namespace nomyo
