/**
 * The scanner: a process of its own that looks for known bytes in another process's memory, in a core file, or in other files.
 *
 * It is given one JSON line on standard input and answers with one on standard output:
 * `{ pid }`, `{ core }` or `{ files }`, and `patterns: { name: [{ base64, fragment }, …] }`: a hit is any run of `fragment` bytes or more
 * (12 or more) that also stands in the pattern, at any place of it.
 *
 * A process is stopped while it is read, so that nothing moves from a place not yet read to one already read.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";

/** Bytes read at a time. */
const blockBytes = 4 << 20;
/** Bytes that are looked up: any 12 bytes hold that many at an aligned address. */
const keyBytes = 8;
/** Above that many bytes of patterns fewer of them are looked up, and at more addresses. */
const largePatterns = 4 << 20;
/** How often the same eight bytes are looked for: what repeats itself is no secret, and slow to search for. */
const maxRepeats = 64;

const distinct = (bytes, start, end) => new Set(bytes.subarray(start, end)).size;

/** Whether the eight bytes at `at` have no more than two values: such stand everywhere. */
function isPlain(bytes, at) {
  const first = bytes[at];
  let second = first;
  for (let i = at + 1; i < at + keyBytes; i++) {
    if (bytes[i] === first || bytes[i] === second) continue;
    if (second !== first) return false;
    second = bytes[i];
  }
  return true;
}

/**
 * Finds all fragments of all patterns in one pass, at any alignment. Each eight bytes of the patterns are in a hash table; each eight bytes
 * at an address that is a multiple of four are looked up in it, and a match is widened to both sides as far as it goes.
 *
 * Large patterns (a text of 9 MB) make that table larger than the memory to search: then the eight bytes at every fourth place of a pattern
 * are in the table, and those at every address are looked up. Of any eleven bytes one such eight are part, either way.
 */
class Fragments {
  #bytes;
  #patterns = [];
  /** One bit for each hash: what is not secret, nearly everything, is passed over with one look. */
  #maybe;
  /** Open addressing; offset in #bytes + 1. */
  #table;
  #shift;
  #maybeShift;
  /** The bits that no byte of the patterns has, four times: of texts the highest. What has one of them is passed over unseen. */
  #never = 0;
  /** Addresses from one look to the next: four, or one. */
  #step;
  longestFragment = 0;

  /** `mayBeSparse` is false where shorter runs than a fragment are looked for (registers). */
  constructor(patterns, mayBeSparse) {
    const parts = [];
    let size = 0;
    for (const [name, list] of Object.entries(patterns)) {
      for (const { base64, fragment } of list) {
        if (fragment < 12)
          throw new Error(`fragments of ${name} have fewer than 12 bytes: they would be found by chance`);
        const bytes = Buffer.from(base64, "base64");
        if (bytes.length < fragment) throw new Error(`${name} is shorter than one fragment of ${fragment} bytes`);
        this.#patterns.push({ name, start: size, end: size + bytes.length, fragment, last: { start: 0, end: -1 } });
        this.longestFragment = Math.max(this.longestFragment, fragment);
        parts.push(bytes);
        size += bytes.length;
      }
    }
    this.#bytes = Buffer.concat(parts);
    let ever = 0;
    for (let at = 0; at < size; at++) ever |= this.#bytes[at];
    this.#never = Math.imul(~ever & 0xff, 0x01010101);
    this.#step = mayBeSparse && size > largePatterns ? 1 : 4;
    const placeStep = 4 / this.#step;
    const bits = Math.min(28, Math.max(12, Math.ceil(Math.log2((size / placeStep) * 2 + 1))));
    this.#shift = 32 - bits;
    this.#table = new Int32Array(1 << bits);
    // Sixteen bits for each entry or more, so that few looks go on to the table.
    const maybeBits = Math.min(31, Math.max(25, bits + 3));
    this.#maybeShift = 32 - maybeBits;
    this.#maybe = new Uint32Array(2 ** (maybeBits - 5));
    for (const pattern of this.#patterns) {
      let left = 0;
      for (let at = pattern.start; at + keyBytes <= pattern.end; at += placeStep) {
        if (!this.#insert(at)) left++;
      }
      if (left * placeStep * 4 > pattern.end - pattern.start) {
        throw new Error(`${pattern.name} repeats itself: search for what is secret in it`);
      }
    }
  }

  #wordAt(at) {
    const bytes = this.#bytes;
    return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  }

  #hash(a, b) {
    const mixed = Math.imul(Math.imul(a, 0x9e3779b1) ^ (b + 0x7f4a7c15), 0x85ebca6b);
    return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  }

  /** False for eight bytes that are too common to look for. */
  #insert(at) {
    if (isPlain(this.#bytes, at)) return false;
    const a = this.#wordAt(at);
    const b = this.#wordAt(at + 4);
    const hash = this.#hash(a, b);
    const bit = hash >>> this.#maybeShift;
    this.#maybe[bit >>> 5] |= 1 << (bit & 31);
    let slot = hash >>> this.#shift;
    let repeats = 0;
    for (; this.#table[slot] !== 0; slot = (slot + 1) & (this.#table.length - 1)) {
      const other = this.#table[slot] - 1;
      if (this.#wordAt(other) !== a || this.#wordAt(other + 4) !== b) continue;
      if (++repeats > maxRepeats) return false;
    }
    this.#table[slot] = at + 1;
    return true;
  }

  #patternAt(offset) {
    let [low, high] = [0, this.#patterns.length - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#patterns[middle].end > offset) high = middle;
      else low = middle + 1;
    }
    return this.#patterns[low];
  }

  /**
   * Calls `found(name, offset, length)` for each fragment in the first `length` bytes of `block`, a multiple of four. `least` instead of each
   * pattern's own `fragment` is for registers. `base` is the address of the block: what was found at the end of the one before is not told again.
   */
  find(block, length, base, found, least) {
    if (this.#step === 1) {
      this.#findAtEveryAddress(block, length, base, found, least);
      return;
    }
    const words = new Int32Array(block.buffer, block.byteOffset, length >> 2);
    const [maybe, maybeShift, never] = [this.#maybe, this.#maybeShift, this.#never];
    for (let i = 0; i + 1 < words.length; i++) {
      const a = words[i];
      const b = words[i + 1];
      if ((a === 0 && b === 0) || ((a | b) & never) !== 0) continue;
      const hash = this.#hash(a, b);
      const bit = hash >>> maybeShift;
      if ((maybe[bit >>> 5] & (1 << (bit & 31))) !== 0)
        this.#look(block, length, base, i * 4, a, b, hash, found, least);
    }
  }

  #findAtEveryAddress(block, length, base, found, least) {
    const words = new Int32Array(block.buffer, block.byteOffset, length >> 2);
    const [maybe, maybeShift, never] = [this.#maybe, this.#maybeShift, this.#never];
    for (let i = 0; i + 1 < words.length; i++) {
      const first = words[i];
      const second = words[i + 1];
      const last = i + 2 === words.length;
      const third = last ? 0 : words[i + 2];
      if (first === 0 && second === 0 && third === 0) continue;
      for (let shift = 0; shift < (last ? 8 : 32); shift += 8) {
        const a = shift === 0 ? first : (first >>> shift) | (second << (32 - shift));
        const b = shift === 0 ? second : (second >>> shift) | (third << (32 - shift));
        if (((a | b) & never) !== 0) continue;
        const hash = this.#hash(a, b);
        const bit = hash >>> maybeShift;
        if ((maybe[bit >>> 5] & (1 << (bit & 31))) === 0) continue;
        this.#look(block, length, base, i * 4 + (shift >> 3), a, b, hash, found, least);
      }
    }
  }

  /** Looks up the eight bytes `a`, `b` at `place` of the block. */
  #look(block, length, base, place, a, b, hash, found, least) {
    const [table, bytes] = [this.#table, this.#bytes];
    for (let slot = hash >>> this.#shift; table[slot] !== 0; slot = (slot + 1) & (table.length - 1)) {
      const at = table[slot] - 1;
      if (this.#wordAt(at) !== a || this.#wordAt(at + 4) !== b) continue;
      const pattern = this.#patternAt(at);
      const { last } = pattern;
      if (last.base === base && place >= last.start && place + keyBytes <= last.end) continue;
      let [start, from] = [place, at];
      while (start > 0 && from > pattern.start && block[start - 1] === bytes[from - 1]) {
        start--;
        from--;
      }
      let [end, to] = [place + keyBytes, at + keyBytes];
      while (end < length && to < pattern.end && block[end] === bytes[to]) {
        end++;
        to++;
      }
      if (end - start < (least?.(pattern.fragment) ?? pattern.fragment)) continue;
      if (distinct(bytes, from, to) < 5) continue;
      pattern.last = { base, start, end };
      found(pattern.name, start, end - start);
    }
  }
}

/** Hits in the order of their addresses, those that touch being one. */
class Hits {
  list = [];
  #last = new Map();

  /** `facts` is called for a new hit only. */
  add(name, address, length, facts) {
    const last = this.#last.get(name);
    if (last !== undefined && address <= last.start + last.hit.bytes && address >= last.start) {
      last.hit.bytes = Math.max(last.hit.bytes, address + length - last.start);
      return;
    }
    const hit = { name, bytes: length, ...facts() };
    this.#last.set(name, { start: address, hit });
    this.list.push(hit);
  }
}

/** Reads [start, end) of a file in blocks that overlap by more than a fragment, and returns how many bytes could be read. */
function search(file, start, end, fragments, found) {
  const overlap = (fragments.longestFragment + keyBytes + 7) & ~3;
  const block = Buffer.alloc(blockBytes + overlap + 4);
  let carried = 0;
  let read = 0;
  for (let at = start; at < end;) {
    const got = readSync(file, block, carried, Math.min(blockBytes, end - at), at);
    if (got === 0) break;
    const length = carried + got;
    const base = at - carried;
    // The scan works on whole words; the last bytes of a file may fall short of one.
    block.fill(0, length, (length + 3) & ~3);
    fragments.find(block, (length + 3) & ~3, base, (name, offset, bytes) => found(name, base + offset, bytes));
    at += got;
    read += got;
    // A short read may end inside a word: what is carried over begins at a multiple of four all the same.
    const from = Math.max(0, (length - overlap) & ~3);
    block.copyWithin(0, from, length);
    carried = length - from;
  }
  return read;
}

/** The mappings of a process, from /proc/PID/smaps. Addresses are below 2^47, so numbers hold them exactly. */
function mappingsOf(pid) {
  const mappings = [];
  for (const line of readFileSync(`/proc/${pid}/smaps`, "utf8").split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line);
    if (head) {
      mappings.push({
        start: parseInt(head[1], 16),
        end: parseInt(head[2], 16),
        permissions: head[3],
        path: head[4],
        resident: 0,
        changed: 0,
        flags: [],
      });
      continue;
    }
    const [, key, value] = /^(\w+): +(.*)$/.exec(line) ?? [];
    const mapping = mappings.at(-1);
    if (key === "Rss" || key === "Swap") mapping.resident += parseInt(value, 10) * 1024;
    if (["Anonymous", "Private_Dirty", "Shared_Dirty", "Swap"].includes(key)) mapping.changed += parseInt(value, 10);
    if (key === "VmFlags") mapping.flags = value.trim().split(" ");
  }
  return mappings;
}

const describe = ({ start, end, permissions, path }) =>
  `${start.toString(16)}-${end.toString(16)} ${permissions} ${path}`.trim();

/**
 * Whether a mapping is the pool, as the kernel tells it and not the package under test: secret memory has its name, and nothing else is both
 * locked and left out of core dumps ("lo" and "dd" of VmFlags; the vsyscall page is not locked).
 */
function poolKind({ path, flags }) {
  if (path.startsWith("/secretmem")) return "memfd_secret";
  return flags.includes("lo") && flags.includes("dd") ? "mlock" : null;
}

/**
 * Whether a mapping has nothing but what its file has (programs and libraries, some hundred MB of each scan): the kernel knows no page of it
 * that was written to. Files in memory (memfd, /dev/shm, secretmem) and deleted ones are read all the same.
 */
function isFilesOwn({ path, permissions, changed }) {
  const onDisk = path.startsWith("/") && !/^\/(secretmem|memfd:|dev\/)| \(deleted\)$/.test(path);
  return onDisk && permissions[1] !== "w" && changed === 0;
}

function scanProcess(pid, fragments) {
  process.kill(pid, "SIGSTOP");
  try {
    while (!/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) {
      // Stopping a process takes effect when each of its threads next leaves the kernel.
    }
    const memory = openSync(`/proc/${pid}/mem`, "r");
    const report = { bytesRead: 0, mappings: 0, hits: [], unreadable: [], pool: [] };
    for (const mapping of mappingsOf(pid)) {
      const pool = poolKind(mapping);
      if (pool !== null) report.pool.push({ start: mapping.start, end: mapping.end, kind: pool });
      // Memory that was made inaccessible keeps its bytes, and root reads it all the same.
      if (!mapping.permissions.startsWith("r") && mapping.resident === 0) continue;
      if (isFilesOwn(mapping)) continue;
      const hits = new Hits();
      try {
        report.bytesRead += search(memory, mapping.start, mapping.end, fragments, (name, address, bytes) =>
          hits.add(name, address, bytes, () => ({
            place: describe(mapping),
            address: address.toString(16),
            inPool: pool !== null,
          })),
        );
        report.mappings++;
      } catch (error) {
        report.unreadable.push({ place: describe(mapping), inPool: pool !== null, code: error.code });
      }
      report.hits.push(...hits.list);
    }
    closeSync(memory);
    return report;
  } finally {
    process.kill(pid, "SIGCONT");
  }
}

/** The segments of an ELF64 core file (System V ABI, "Program Header"): memory of the process, and notes with its registers. */
function segmentsOf(file) {
  const header = Buffer.alloc(64);
  readSync(file, header, 0, 64, 0);
  if (header.toString("latin1", 0, 6) !== "\x7fELF\x02\x01" || header.readUInt16LE(16) !== 4) {
    throw new Error("not a core file of a 64-bit little-endian machine");
  }
  const offset = Number(header.readBigUInt64LE(32));
  const size = header.readUInt16LE(54);
  // PN_XNUM: a core of more than 65 534 mappings keeps the count elsewhere. A Node process has some hundreds.
  const count = header.readUInt16LE(56);
  if (count === 0xffff) throw new Error("the core file has too many segments");
  const table = Buffer.alloc(count * size);
  readSync(file, table, 0, table.length, offset);
  return Array.from({ length: count }, (_, i) => {
    const entry = table.subarray(i * size, (i + 1) * size);
    const at = Number(entry.readBigUInt64LE(8));
    return {
      notes: entry.readUInt32LE(0) === 4,
      at,
      end: at + Number(entry.readBigUInt64LE(32)),
      address: Number(entry.readBigUInt64LE(16)),
    };
  });
}

/** The notes of a core file that hold registers, and what they hold (Linux, include/uapi/linux/elf.h). */
const registerNotes = new Map([
  ["CORE 1", { kind: "general", skipped: 112 }], // NT_PRSTATUS: signal, process and times, then the registers
  ["CORE 2", { kind: "vector", skipped: 0 }], // NT_FPREGSET (NT_PRFPREG): x87 and XMM, or NEON
  ["LINUX 514", { kind: "vector", skipped: 0 }], // NT_X86_XSTATE: all that XSAVE knows, AVX-512 included
  ["LINUX 1029", { kind: "vector", skipped: 0 }], // NT_ARM_SVE
]);

/** The register sets in the notes [at, end) of a core file: each thread's begin with its NT_PRSTATUS. */
function* registersOf(file, { at, end }) {
  const notes = Buffer.alloc(end - at);
  readSync(file, notes, 0, notes.length, at);
  let thread = 0;
  for (let offset = 0; offset + 12 <= notes.length;) {
    const [nameBytes, size, type] = [0, 4, 8].map((i) => notes.readUInt32LE(offset + i));
    const name = notes.toString("latin1", offset + 12, offset + 12 + Math.max(0, nameBytes - 1));
    const content = offset + 12 + ((nameBytes + 3) & ~3);
    const set = registerNotes.get(`${name} ${type}`);
    if (set !== undefined) {
      if (set.kind === "general") thread++;
      // A copy of its own: words must be aligned.
      const bytes = Buffer.alloc((size - set.skipped + 3) & ~3);
      notes.copy(bytes, 0, content + set.skipped, content + size);
      yield { thread, kind: set.kind, bytes };
    }
    offset = content + ((size + 3) & ~3);
  }
}

/** A register has 8 bytes, so that much of a text is a find there; in UTF-16, where it would be four characters, twice that. */
const leastInRegisters = (fragment) => (fragment >= 24 ? 16 : 8);

function scanCore(path, fragments) {
  const file = openSync(path, "r");
  const segments = segmentsOf(file);
  const hits = new Hits();
  const report = { bytesRead: 0, mappings: segments.length, registers: { general: 0, vector: 0 } };
  // The file as a whole: headers and notes too.
  report.bytesRead = search(file, 0, fstatSync(file).size, fragments, (name, offset, bytes) =>
    hits.add(name, offset, bytes, () => {
      const segment = segments.find(({ at, end }) => offset >= at && offset < end);
      const place = segment === undefined ? "outside segments" : segment.notes ? "notes" : "memory";
      const address = segment === undefined || segment.notes ? offset : segment.address + offset - segment.at;
      return { place: `core: ${place}`, address: address.toString(16), inPool: false };
    }),
  );
  for (const segment of segments.filter(({ notes }) => notes)) {
    for (const { thread, kind, bytes } of registersOf(file, segment)) {
      report.registers[kind]++;
      const find = (name, offset, length) => {
        const place = `core: thread ${thread}, ${kind} registers`;
        hits.list.push({ name, bytes: length, place, address: offset.toString(16), inPool: false });
      };
      fragments.find(bytes, bytes.length, `${thread} ${kind} ${report.registers[kind]}`, find, leastInRegisters);
    }
  }
  closeSync(file);
  return { ...report, hits: hits.list };
}

function scanFiles(paths, fragments) {
  const report = { bytesRead: 0, mappings: paths.length, hits: [] };
  for (const path of paths) {
    const file = openSync(path, "r");
    const hits = new Hits();
    report.bytesRead += search(file, 0, fstatSync(file).size, fragments, (name, offset, bytes) =>
      hits.add(name, offset, bytes, () => ({ place: path, address: offset.toString(16), inPool: false })),
    );
    report.hits.push(...hits.list);
    closeSync(file);
  }
  return report;
}

const order = JSON.parse(readFileSync(0, "utf8"));
const fragments = new Fragments(order.patterns, order.core === undefined);
const report =
  order.files !== undefined
    ? scanFiles(order.files, fragments)
    : order.core !== undefined
      ? scanCore(order.core, fragments)
      : scanProcess(order.pid, fragments);
process.stdout.write(JSON.stringify(report));
