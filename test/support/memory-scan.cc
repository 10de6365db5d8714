/**
 * The scanner: a program of its own that looks for known bytes in another process's memory, in a core file, or in other
 * files. It shares no code with what it judges; memory-scan.ts compiles and starts it.
 *
 * Standard input is one line of JSON, `{"pid": N}`, `{"core": PATH}` or `{"files": [PATH, …]}` with
 * `"patterns": [{"name", "fragment", "bytes"}, …]`, and after it the patterns' bytes, one behind the other. A hit is
 * any run of `fragment` bytes or more (12 or more) that also stands in a pattern, at any place of it. The answer is
 * JSON on standard output.
 *
 * A process is stopped while it is read, so that nothing moves from a place not yet read to one already read.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Json = nlohmann::json;

/** Bytes read at a time. */
constexpr std::size_t kBlockBytes = 4 << 20;
/** Bytes that are looked up: any 11 bytes hold that many at an address that is a multiple of four. */
constexpr std::size_t kKeyBytes = 8;
/** Above that many bytes of patterns fewer of them are looked up, and at more addresses. */
constexpr std::size_t kLargePatterns = 1 << 20;
/** How often the same eight bytes are looked for: what repeats itself is no secret, and slow to search for. */
constexpr int kMaxRepeats = 64;

/** A call of the system's that failed: its errno, by name. */
class SystemError : public std::runtime_error {
 public:
  explicit SystemError(const std::string& what) : runtime_error(what + ": " + std::strerror(errno)), number_(errno) {}
  std::string Code() const { return strerrorname_np(number_); }

 private:
  int number_;
};

class File {
 public:
  explicit File(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) throw SystemError(path);
  }
  ~File() { close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /** Bytes read; 0 at the end. */
  std::size_t Read(std::uint8_t* to, std::size_t bytes, std::uint64_t at) const {
    const auto got = pread(descriptor_, to, bytes, static_cast<off_t>(at));
    if (got < 0) throw SystemError("read");
    return static_cast<std::size_t>(got);
  }

  std::vector<std::uint8_t> ReadAll(std::size_t bytes, std::uint64_t at) const {
    std::vector<std::uint8_t> part(bytes);
    for (std::size_t have = 0; have < bytes;) {
      const auto got = Read(part.data() + have, bytes - have, at + have);
      if (got == 0) throw std::runtime_error("the file ends too early");
      have += got;
    }
    return part;
  }

  /** [start, end) of what was written; between them are holes, of zeros alone (lseek(2), SEEK_DATA). */
  std::vector<std::pair<std::uint64_t, std::uint64_t>> WrittenParts() const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> parts;
    for (off_t at = 0;;) {
      const auto start = lseek(descriptor_, at, SEEK_DATA);
      if (start < 0 && errno == ENXIO) return parts;
      if (start < 0) throw SystemError("SEEK_DATA");
      at = lseek(descriptor_, start, SEEK_HOLE);
      if (at < 0) throw SystemError("SEEK_HOLE");
      parts.emplace_back(static_cast<std::uint64_t>(start), static_cast<std::uint64_t>(at));
    }
  }

  std::uint64_t Size() const {
    struct stat facts{};
    if (fstat(descriptor_, &facts) != 0) throw SystemError("stat");
    return static_cast<std::uint64_t>(facts.st_size);
  }

 private:
  int descriptor_;
};

std::uint64_t KeyAt(const std::uint8_t* bytes) {
  std::uint64_t key;
  std::memcpy(&key, bytes, sizeof key);
  return key;
}

std::uint64_t Hash(std::uint64_t key) {
  key = (key ^ (key >> 32)) * 0x9e3779b97f4a7c15U;
  return (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9U;
}

int Distinct(const std::uint8_t* bytes, std::size_t size) {
  bool seen[256] = {};
  int count = 0;
  for (std::size_t i = 0; i < size; i++) count += !std::exchange(seen[bytes[i]], true);
  return count;
}

/** Told of each fragment: the pattern's name, its place in the block, its length. */
using Found = std::function<void(const std::string& name, std::size_t place, std::size_t bytes)>;

/**
 * Finds all fragments of all patterns in one pass, at any alignment. Each eight bytes of the patterns are in a hash
 * table; each eight bytes at an address that is a multiple of four are looked up in it, and a match is widened to both
 * sides as far as it goes.
 *
 * Large patterns (a text of 9 MB) make that table larger than the memory to search: then the eight bytes at every
 * fourth place of a pattern are in the table, and those at every address are looked up. Of any eleven bytes one such
 * eight are part, either way.
 */
class Fragments {
 public:
  /** `may_be_sparse` is false where shorter runs than a fragment are looked for (registers). */
  Fragments(const Json& list, std::vector<std::uint8_t> bytes, bool may_be_sparse) : bytes_(std::move(bytes)) {
    std::size_t size = 0;
    for (const auto& each : list) {
      Pattern pattern;
      pattern.name = each.at("name").get<std::string>();
      pattern.fragment = each.at("fragment").get<std::size_t>();
      pattern.start = size;
      size += each.at("bytes").get<std::size_t>();
      pattern.end = size;
      if (pattern.fragment < 12)
        throw std::runtime_error("fragments of " + pattern.name +
                                 " have fewer than 12 bytes: they would be found by chance");
      if (pattern.end - pattern.start < pattern.fragment)
        throw std::runtime_error(pattern.name + " is shorter than one fragment of " + std::to_string(pattern.fragment) +
                                 " bytes");
      longest_fragment_ = std::max(longest_fragment_, pattern.fragment);
      patterns_.push_back(pattern);
    }
    if (size != bytes_.size()) throw std::runtime_error("the patterns are not as long as their sizes say");

    std::uint8_t ever = 0;
    for (const auto byte : bytes_) ever |= byte;
    never_ = 0x0101010101010101U * static_cast<std::uint8_t>(~ever);
    step_ = may_be_sparse && size > kLargePatterns ? 1 : 4;
    const std::size_t place_step = 4 / step_;
    const int bits = std::clamp(static_cast<int>(std::bit_width(size / place_step * 2)), 12, 30);
    shift_ = 64 - bits;
    table_.resize(std::size_t{1} << bits);
    // Sixteen bits for each entry or more, so that few looks go on to the table.
    maybe_shift_ = shift_ - 4;
    maybe_.resize(std::size_t{1} << (64 - maybe_shift_ - 6));
    for (const auto& pattern : patterns_) {
      std::size_t left = 0;
      for (auto at = pattern.start; at + kKeyBytes <= pattern.end; at += place_step) left += !Insert(at);
      if (left * place_step * 4 > pattern.end - pattern.start)
        throw std::runtime_error(pattern.name + " repeats itself: search for what is secret in it");
    }
  }

  std::size_t LongestFragment() const { return longest_fragment_; }

  /**
   * Every fragment in `block`. `least` instead of each pattern's own `fragment` is for registers. What was found in the
   * block of the same `base` is not told again: each block has a base of its own.
   */
  void Find(const std::uint8_t* block, std::size_t length, std::uint64_t base, const Found& found,
            std::size_t (*least)(std::size_t) = nullptr) {
    for (std::size_t at = 0; at + kKeyBytes <= length; at += step_) {
      const auto key = KeyAt(block + at);
      if (key == 0 || (key & never_) != 0) continue;
      const auto hash = Hash(key);
      const auto bit = hash >> maybe_shift_;
      if ((maybe_[bit >> 6] >> (bit & 63) & 1) != 0) Look(block, length, base, at, key, hash, found, least);
    }
  }

 private:
  struct Pattern {
    std::string name;
    std::size_t start = 0;
    std::size_t end = 0;
    std::size_t fragment = 0;
    /** The last find: in which block, and where in it. */
    std::uint64_t last_base = UINT64_MAX;
    std::size_t last_start = 0;
    std::size_t last_end = 0;
  };

  /** False for eight bytes that are too common to look for. */
  bool Insert(std::size_t at) {
    if (Distinct(bytes_.data() + at, kKeyBytes) <= 2) return false;
    const auto key = KeyAt(bytes_.data() + at);
    const auto hash = Hash(key);
    const auto bit = hash >> maybe_shift_;
    maybe_[bit >> 6] |= std::uint64_t{1} << (bit & 63);
    auto slot = hash >> shift_;
    int repeats = 0;
    for (; table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1))
      if (KeyAt(bytes_.data() + table_[slot] - 1) == key && ++repeats > kMaxRepeats) return false;
    table_[slot] = static_cast<std::uint32_t>(at + 1);
    return true;
  }

  Pattern& PatternAt(std::size_t offset) {
    return *std::partition_point(patterns_.begin(), patterns_.end(),
                                 [offset](const Pattern& pattern) { return pattern.end <= offset; });
  }

  void Look(const std::uint8_t* block, std::size_t length, std::uint64_t base, std::size_t place, std::uint64_t key,
            std::uint64_t hash, const Found& found, std::size_t (*least)(std::size_t)) {
    for (auto slot = hash >> shift_; table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1)) {
      const std::size_t at = table_[slot] - 1;
      if (KeyAt(bytes_.data() + at) != key) continue;
      auto& pattern = PatternAt(at);
      if (pattern.last_base == base && place >= pattern.last_start && place + kKeyBytes <= pattern.last_end) continue;
      auto [start, from] = std::pair(place, at);
      while (start > 0 && from > pattern.start && block[start - 1] == bytes_[from - 1]) start--, from--;
      auto [end, to] = std::pair(place + kKeyBytes, at + kKeyBytes);
      while (end < length && to < pattern.end && block[end] == bytes_[to]) end++, to++;
      if (end - start < (least == nullptr ? pattern.fragment : least(pattern.fragment))) continue;
      if (Distinct(bytes_.data() + from, to - from) < 5) continue;
      pattern.last_base = base;
      pattern.last_start = start;
      pattern.last_end = end;
      found(pattern.name, start, end - start);
    }
  }

  /** All patterns' bytes, one behind the other. */
  std::vector<std::uint8_t> bytes_;
  std::vector<Pattern> patterns_;
  /** One bit for each hash: what is not secret, nearly everything, is passed over with one look. */
  std::vector<std::uint64_t> maybe_;
  int maybe_shift_ = 0;
  /** Open addressing; offset in bytes_ + 1. */
  std::vector<std::uint32_t> table_;
  int shift_ = 0;
  /** The bits that no byte of the patterns has: of texts the highest. What has one of them is passed over unseen. */
  std::uint64_t never_ = 0;
  /** Addresses from one look to the next: four, or one. */
  std::size_t step_ = 4;
  std::size_t longest_fragment_ = 0;
};

struct Hit {
  std::string name;
  std::uint64_t bytes = 0;
  std::string place;
  std::uint64_t address = 0;
  bool in_pool = false;
};

std::string Hex(std::uint64_t number) {
  std::ostringstream text;
  text << std::hex << number;
  return text.str();
}

void to_json(Json& json, const Hit& hit) {
  json = {{"name", hit.name},
          {"bytes", hit.bytes},
          {"place", hit.place},
          {"address", Hex(hit.address)},
          {"inPool", hit.in_pool}};
}

/** Hits in the order of their addresses, those that touch being one. */
class Hits {
 public:
  std::vector<Hit> list;

  /** `complete` adds place and address to a new hit. */
  void Add(const std::string& name, std::uint64_t address, std::uint64_t bytes,
           const std::function<void(Hit&)>& complete) {
    if (const auto found = last_.find(name); found != last_.end()) {
      const auto [start, index] = found->second;
      if (address >= start && address <= start + list[index].bytes) {
        list[index].bytes = std::max(list[index].bytes, address + bytes - start);
        return;
      }
    }
    last_[name] = {address, list.size()};
    Hit hit{.name = name, .bytes = bytes, .place = {}, .address = address, .in_pool = false};
    complete(hit);
    list.push_back(std::move(hit));
  }

 private:
  /** Of each name's last hit: where it starts, and its index in the list. */
  std::map<std::string, std::pair<std::uint64_t, std::size_t>> last_;
};

/** Reads [start, end) of a file in blocks that overlap by more than a fragment, and returns how many bytes could be
 * read. */
std::uint64_t Search(
    const File& file, std::uint64_t start, std::uint64_t end, Fragments& fragments,
    const std::function<void(const std::string& name, std::uint64_t address, std::size_t bytes)>& found) {
  const std::size_t overlap = (fragments.LongestFragment() + kKeyBytes + 7) & ~std::size_t{3};
  static std::vector<std::uint8_t> block;
  block.resize(kBlockBytes + overlap + 4);
  std::size_t carried = 0;
  std::uint64_t read = 0;
  for (auto at = start; at < end;) {
    const auto got = file.Read(block.data() + carried, std::min<std::uint64_t>(kBlockBytes, end - at), at);
    if (got == 0) break;
    const auto length = carried + got;
    const auto base = at - carried;
    fragments.Find(block.data(), length, base, [&](const std::string& name, std::size_t place, std::size_t bytes) {
      found(name, base + place, bytes);
    });
    at += got;
    read += got;
    // A short read may end inside a word: what is carried over begins at a multiple of four all the same.
    const auto from = length > overlap ? (length - overlap) & ~std::size_t{3} : 0;
    std::memmove(block.data(), block.data() + from, length - from);
    carried = length - from;
  }
  return read;
}

struct Mapping {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::string permissions;
  std::string path;
  /** KiB in memory or swapped out. */
  std::uint64_t resident = 0;
  /** KiB that are not as the file has them. */
  std::uint64_t changed = 0;
  std::vector<std::string> flags;

  std::string Place() const {
    return Hex(start) + "-" + Hex(end) + " " + permissions + (path.empty() ? "" : " " + path);
  }
  bool Has(std::string_view flag) const { return std::find(flags.begin(), flags.end(), flag) != flags.end(); }

  /**
   * What kind of pool it is, as the kernel tells it and not the package under test: secret memory has its name, and
   * nothing else is both locked and left out of core dumps ("lo" and "dd" of VmFlags; the vsyscall page is not locked).
   */
  std::optional<std::string> Pool() const {
    if (path.starts_with("/secretmem")) return "memfd_secret";
    if (Has("lo") && Has("dd")) return "mlock";
    return std::nullopt;
  }

  /** Whether it is memory of the process alone: of a page that the kernel does not have, each byte is zero. */
  bool IsAnonymous() const {
    return permissions[3] == 'p' && (path.empty() || path.starts_with("[heap]") || path.starts_with("[anon:"));
  }

  /**
   * Whether it has nothing but what its file has (programs and libraries, some hundred MB of each scan): the kernel
   * knows no page of it that was written to. Files in memory (memfd, /dev/shm, secretmem) and deleted ones are read all
   * the same.
   */
  bool IsFilesOwn() const {
    const bool in_memory = path.starts_with("/secretmem") || path.starts_with("/memfd:") || path.starts_with("/dev/");
    return path.starts_with("/") && !in_memory && !path.ends_with(" (deleted)") && permissions[1] != 'w' &&
           changed == 0;
  }
};

/** The mappings of a process, from /proc/PID/smaps. */
std::vector<Mapping> MappingsOf(int pid) {
  const auto name = "/proc/" + std::to_string(pid) + "/smaps";
  std::ifstream smaps(name);
  if (!smaps) throw SystemError(name);
  std::vector<Mapping> mappings;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long long start, end;
    char permissions[8];
    int path = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx %7s %*s %*s %*s %n", &start, &end, permissions, &path) == 3) {
      Mapping mapping;
      mapping.start = start;
      mapping.end = end;
      mapping.permissions = permissions;
      if (path > 0) mapping.path = line.substr(static_cast<std::size_t>(path));
      mappings.push_back(mapping);
      continue;
    }
    const auto colon = line.find(':');
    if (colon == std::string::npos || mappings.empty()) continue;
    const auto key = line.substr(0, colon);
    std::istringstream value(line.substr(colon + 1));
    auto& mapping = mappings.back();
    if (key == "VmFlags") {
      mapping.flags.assign(std::istream_iterator<std::string>(value), {});
      continue;
    }
    std::uint64_t kib = 0;
    value >> kib;
    if (key == "Rss" || key == "Swap") mapping.resident += kib;
    if (key == "Anonymous" || key == "Private_Dirty" || key == "Shared_Dirty" || key == "Swap") mapping.changed += kib;
  }
  if (smaps.bad()) throw SystemError(name);
  return mappings;
}

/** Stops a process for as long as it lives. */
class Stopped {
 public:
  explicit Stopped(int pid) : pid_(pid) {
    if (kill(pid, SIGSTOP) != 0) throw SystemError("stopping process " + std::to_string(pid));
    try {
      // It takes effect when each of its threads next leaves the kernel.
      while (State() != 'T') usleep(200);
    } catch (...) {
      kill(pid, SIGCONT);
      throw;
    }
  }
  ~Stopped() { kill(pid_, SIGCONT); }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;

 private:
  char State() const {
    const auto name = "/proc/" + std::to_string(pid_) + "/status";
    std::ifstream status(name);
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("State:")) return line.at(line.find_first_not_of(" \t", 6));
    }
    throw std::runtime_error("process " + std::to_string(pid_) + " has ended");
  }
  int pid_;
};

/**
 * The parts of [start, end) whose pages are in memory or swapped out: bits 63 and 62 of their entries in
 * /proc/PID/pagemap. V8 reserves hundreds of MB of which it has used nothing.
 */
std::vector<std::pair<std::uint64_t, std::uint64_t>> UsedParts(const File& pagemap, std::uint64_t start,
                                                               std::uint64_t end) {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::vector<std::pair<std::uint64_t, std::uint64_t>> parts;
  std::vector<std::uint8_t> entries;
  for (auto at = start; at < end; at += entries.size() / 8 * page) {
    entries = pagemap.ReadAll(std::min<std::uint64_t>((end - at) / page, 65536) * 8, at / page * 8);
    for (std::size_t entry = 0; entry < entries.size(); entry += 8) {
      if (KeyAt(entries.data() + entry) >> 62 == 0) continue;
      const auto from = at + entry / 8 * page;
      if (!parts.empty() && parts.back().second == from)
        parts.back().second += page;
      else
        parts.emplace_back(from, from + page);
    }
  }
  return parts;
}

Json ScanProcess(int pid, Fragments& fragments) {
  const Stopped stopped(pid);
  const File memory("/proc/" + std::to_string(pid) + "/mem");
  const File pagemap("/proc/" + std::to_string(pid) + "/pagemap");
  std::uint64_t read = 0;
  int count = 0;
  Json pools = Json::array();
  Json unreadable = Json::array();
  std::vector<Hit> all;
  for (const auto& mapping : MappingsOf(pid)) {
    const auto pool = mapping.Pool();
    if (pool) pools.push_back({{"start", mapping.start}, {"end", mapping.end}, {"kind", *pool}});
    // Memory that was made inaccessible keeps its bytes, and root reads it all the same.
    if (mapping.permissions[0] != 'r' && mapping.resident == 0) continue;
    if (mapping.IsFilesOwn()) continue;
    Hits hits;
    try {
      for (const auto [start, end] : mapping.IsAnonymous() ? UsedParts(pagemap, mapping.start, mapping.end)
                                                           : std::vector{std::pair{mapping.start, mapping.end}})
        read += Search(memory, start, end, fragments,
                       [&](const std::string& name, std::uint64_t address, std::size_t bytes) {
                         hits.Add(name, address, bytes, [&](Hit& hit) {
                           hit.place = mapping.Place();
                           hit.in_pool = pool.has_value();
                         });
                       });
      count++;
    } catch (const SystemError& error) {
      unreadable.push_back({{"place", mapping.Place()}, {"inPool", pool.has_value()}, {"code", error.Code()}});
    }
    std::move(hits.list.begin(), hits.list.end(), std::back_inserter(all));
  }
  return {{"bytesRead", read}, {"mappings", count}, {"hits", all}, {"unreadable", unreadable}, {"pool", pools}};
}

template <typename Integer>
Integer IntegerAt(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(Integer)) throw std::runtime_error("the core file is cut short");
  Integer value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/** A segment of an ELF64 core file (System V ABI, "Program Header"): memory of the process, or notes with its
 * registers. */
struct Segment {
  bool notes = false;
  std::uint64_t at = 0;
  std::uint64_t end = 0;
  std::uint64_t address = 0;
};

std::vector<Segment> SegmentsOf(const File& file) {
  static_assert(std::endian::native == std::endian::little);
  const auto header = file.ReadAll(64, 0);
  if (std::memcmp(header.data(),
                  "\x7f"
                  "ELF\x02\x01",
                  6) != 0 ||
      IntegerAt<std::uint16_t>(header, 16) != 4)
    throw std::runtime_error("not a core file of a 64-bit little-endian machine");
  const auto size = IntegerAt<std::uint16_t>(header, 54);
  // PN_XNUM: a core of more than 65 534 mappings keeps the count elsewhere. A Node process has some hundreds.
  const auto count = IntegerAt<std::uint16_t>(header, 56);
  if (count == 0xffff) throw std::runtime_error("the core file has too many segments");
  const auto table = file.ReadAll(std::size_t{count} * size, IntegerAt<std::uint64_t>(header, 32));
  std::vector<Segment> segments;
  for (std::size_t entry = 0; entry < table.size(); entry += size) {
    const auto at = IntegerAt<std::uint64_t>(table, entry + 8);
    segments.push_back({.notes = IntegerAt<std::uint32_t>(table, entry) == 4,
                        .at = at,
                        .end = at + IntegerAt<std::uint64_t>(table, entry + 32),
                        .address = IntegerAt<std::uint64_t>(table, entry + 16)});
  }
  return segments;
}

/** The notes of a core file that hold registers, and what they hold (Linux, include/uapi/linux/elf.h). */
struct RegisterNote {
  std::string_view owner;
  std::uint32_t type;
  std::string_view kind;
  /** Bytes before the registers. */
  std::size_t skipped;
};
constexpr RegisterNote kRegisterNotes[] = {
    {"CORE", 1, "general", 112},  // NT_PRSTATUS: signal, process and times, then the registers
    {"CORE", 2, "vector", 0},     // NT_FPREGSET (NT_PRFPREG): x87 and XMM, or NEON
    {"LINUX", 514, "vector", 0},  // NT_X86_XSTATE: all that XSAVE knows, AVX-512 included
    {"LINUX", 1029, "vector", 0}  // NT_ARM_SVE
};

/** A register has 8 bytes, so that much of a text is a find there; in UTF-16, where it would be four characters, twice
 * that. */
std::size_t LeastInRegisters(std::size_t fragment) {
  return fragment >= 24 ? 16 : 8;
}

/** The register sets in a segment of notes: each thread's begin with its NT_PRSTATUS. */
void SearchRegisters(const File& file, const Segment& segment, Fragments& fragments, std::map<std::string, int>& counts,
                     std::vector<Hit>& hits) {
  const auto notes = file.ReadAll(segment.end - segment.at, segment.at);
  int thread = 0;
  // No address of the file: each set is a block of its own.
  static std::uint64_t block = std::uint64_t{1} << 63;
  for (std::size_t offset = 0; offset + 12 <= notes.size();) {
    const auto name_bytes = IntegerAt<std::uint32_t>(notes, offset);
    const auto size = IntegerAt<std::uint32_t>(notes, offset + 4);
    const auto type = IntegerAt<std::uint32_t>(notes, offset + 8);
    const auto content = offset + 12 + ((std::size_t{name_bytes} + 3) & ~std::size_t{3});
    if (content + size > notes.size()) throw std::runtime_error("the core file is cut short");
    const std::string_view owner(reinterpret_cast<const char*>(notes.data()) + offset + 12,
                                 name_bytes == 0 ? 0 : name_bytes - 1);
    for (const auto& note : kRegisterNotes) {
      if (note.owner != owner || note.type != type) continue;
      if (note.kind == "general") thread++;
      const std::string kind(note.kind);
      counts[kind]++;
      const auto skipped = std::min<std::size_t>(note.skipped, size);
      fragments.Find(
          notes.data() + content + skipped, size - skipped, block++,
          [&](const std::string& name, std::size_t place, std::size_t bytes) {
            hits.push_back({.name = name,
                            .bytes = bytes,
                            .place = "core: thread " + std::to_string(thread) + ", " + kind + " registers",
                            .address = place,
                            .in_pool = false});
          },
          LeastInRegisters);
    }
    offset = content + ((std::size_t{size} + 3) & ~std::size_t{3});
  }
}

Json ScanCore(const std::string& path, Fragments& fragments) {
  const File file(path);
  const auto segments = SegmentsOf(file);
  Hits hits;
  // The file as a whole: headers and notes too.
  std::uint64_t read = 0;
  for (const auto [start, end] : file.WrittenParts())
    read += Search(file, start, end, fragments, [&](const std::string& name, std::uint64_t offset, std::size_t bytes) {
      hits.Add(name, offset, bytes, [&](Hit& hit) {
        const auto segment = std::find_if(segments.begin(), segments.end(),
                                          [offset](const Segment& s) { return offset >= s.at && offset < s.end; });
        const bool none = segment == segments.end();
        hit.place = none ? "core: outside segments" : segment->notes ? "core: notes" : "core: memory";
        hit.address = none || segment->notes ? offset : segment->address + offset - segment->at;
      });
    });
  std::map<std::string, int> registers{{"general", 0}, {"vector", 0}};
  for (const auto& segment : segments)
    if (segment.notes) SearchRegisters(file, segment, fragments, registers, hits.list);
  return {{"bytesRead", read}, {"mappings", segments.size()}, {"registers", registers}, {"hits", hits.list}};
}

Json ScanFiles(const std::vector<std::string>& paths, Fragments& fragments) {
  std::uint64_t read = 0;
  std::vector<Hit> all;
  for (const auto& path : paths) {
    const File file(path);
    Hits hits;
    read +=
        Search(file, 0, file.Size(), fragments, [&](const std::string& name, std::uint64_t offset, std::size_t bytes) {
          hits.Add(name, offset, bytes, [&](Hit& hit) { hit.place = path; });
        });
    std::move(hits.list.begin(), hits.list.end(), std::back_inserter(all));
  }
  return {{"bytesRead", read}, {"mappings", paths.size()}, {"hits", all}};
}

}  // namespace

int main() {
  try {
    std::string line;
    std::getline(std::cin, line);
    const auto order = Json::parse(line);
    std::vector<std::uint8_t> bytes;
    for (std::vector<char> part(1 << 16);
         std::cin.read(part.data(), static_cast<std::streamsize>(part.size())), std::cin.gcount() > 0;)
      bytes.insert(bytes.end(), part.begin(), part.begin() + std::cin.gcount());
    Fragments fragments(order.at("patterns"), std::move(bytes), !order.contains("core"));
    const auto report = order.contains("files")
                            ? ScanFiles(order.at("files").get<std::vector<std::string>>(), fragments)
                        : order.contains("core") ? ScanCore(order.at("core").get<std::string>(), fragments)
                                                 : ScanProcess(order.at("pid").get<int>(), fragments);
    std::cout << report.dump() << std::flush;
    return std::cout ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
