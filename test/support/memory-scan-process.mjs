/**
 * The scanner: a process of its own that looks for known bytes in another process's memory, or in a core file.
 *
 * It is given one JSON line on standard input and answers with one on standard output:
 * `{ pid }` or `{ core }`, and `patterns: { name: [hex, …] }` with pieces of 16 bytes or more, or `texts: { name: path }` with files of
 * which every fragment of 12 bytes is looked for.
 *
 * A process is stopped while it is read, so that nothing moves from a place not yet read to one already read.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";

/** Bytes read at a time. */
const blockBytes = 4 << 20;

/**
 * Finds all pieces in one pass, at any alignment: each piece is known by the four 32-bit words that can stand first at an aligned
 * place inside it, and every aligned word of the memory is looked up.
 */
class Pieces {
  #byWord = new Map();
  #mayStart = new Uint8Array(1 << 16);
  longest = 0;

  constructor(patterns) {
    for (const [name, pieces] of Object.entries(patterns)) {
      for (const hex of pieces) {
        const bytes = Buffer.from(hex, "hex");
        if (bytes.length < 16)
          throw new Error(`a piece of ${name} has fewer than 16 bytes: it would be found by chance`);
        this.longest = Math.max(this.longest, bytes.length);
        for (let shift = 0; shift < 4; shift++) {
          const word = bytes.readInt32LE(shift);
          this.#mayStart[(word ^ (word >>> 16)) & 0xffff] = 1;
          this.#byWord.set(word, [...(this.#byWord.get(word) ?? []), { name, bytes, shift }]);
        }
      }
    }
  }

  /** Calls `found(name, offset)` for each piece in the first `length` bytes of `block`. */
  find(block, length, found) {
    const words = new Int32Array(block.buffer, block.byteOffset, length >> 2);
    for (let i = 0; i < words.length; i++) {
      const word = words[i];
      if (word === 0 || this.#mayStart[(word ^ (word >>> 16)) & 0xffff] === 0) continue;
      for (const { name, bytes, shift } of this.#byWord.get(word) ?? []) {
        const start = i * 4 - shift;
        if (start < 0 || start + bytes.length > length) continue;
        if (block.compare(bytes, 0, bytes.length, start, start + bytes.length) === 0) found(name, start);
      }
    }
  }
}

/** The shortest run of a text that counts as found. */
const fragmentBytes = 12;

/**
 * Finds what is left of long texts: every run of 12 bytes or more that is also in one of them, wherever it lies in both. Of the texts all
 * pairs of words are known, at every offset; wherever a run of 12 bytes lies, it has two whole aligned words of the memory in it.
 */
class Fragments {
  #texts;
  #table;
  #mask;
  longest = 4096;

  constructor(texts) {
    this.#texts = Object.entries(texts).map(([name, path]) => ({ name, bytes: readFileSync(path) }));
    const all = this.#texts.reduce((sum, { bytes }) => sum + bytes.length, 0);
    let size = 1024;
    while (size < all * 2) size *= 2;
    this.#mask = size - 1;
    // Open addressing; 0 is free. An entry is the place in all texts together, plus 1.
    this.#table = new Uint32Array(size);
    let base = 0;
    for (const text of this.#texts) {
      text.base = base;
      const { bytes } = text;
      for (let at = 0; at + 8 <= bytes.length; at++) {
        let slot = this.#slot(bytes.readInt32LE(at), bytes.readInt32LE(at + 4));
        while (this.#table[slot] !== 0) slot = (slot + 1) & this.#mask;
        this.#table[slot] = base + at + 1;
      }
      base += bytes.length;
    }
  }

  #slot(first, second) {
    let hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(second, 0x85ebca77);
    hash ^= hash >>> 15;
    return Math.imul(hash, 0x27d4eb2f) & this.#mask;
  }

  /** Calls `found(name, offset)` for each run, once. */
  find(block, length, found) {
    const words = new Int32Array(block.buffer, block.byteOffset, length >> 2);
    let after = 0;
    for (let i = 0; i + 1 < words.length; i++) {
      if (words[i] === 0 || i * 4 < after) continue;
      for (let slot = this.#slot(words[i], words[i + 1]); this.#table[slot] !== 0; slot = (slot + 1) & this.#mask) {
        const place = this.#table[slot] - 1;
        const text = this.#texts.findLast(({ base }) => base <= place);
        const at = place - text.base;
        const run = runAround(text.bytes, at, block, i * 4, length);
        if (run === undefined) continue;
        found(text.name, run.start);
        after = run.end;
        break;
      }
    }
  }
}

/** The run of equal bytes around two equal places, if it is long enough. */
function runAround(text, textAt, block, blockAt, length) {
  let before = 0;
  while (before < textAt && before < blockAt && text[textAt - before - 1] === block[blockAt - before - 1]) before++;
  let behind = 0;
  while (
    textAt + behind < text.length &&
    blockAt + behind < length &&
    text[textAt + behind] === block[blockAt + behind]
  ) {
    behind++;
  }
  return before + behind < fragmentBytes ? undefined : { start: blockAt - before, end: blockAt + behind };
}

/** Reads [start, end) of a file in blocks that overlap by the longest piece, and returns how many bytes could be read. */
function search(file, start, end, pieces, found) {
  const overlap = (pieces.longest + 7) & ~3;
  const block = Buffer.alloc(blockBytes + overlap);
  let carried = 0;
  let read = 0;
  for (let at = start; at < end;) {
    const got = readSync(file, block, carried, Math.min(blockBytes, end - at), at);
    if (got === 0) break;
    const length = carried + got;
    const base = at - carried;
    // The scan works on whole words; the last bytes of a file may fall short of one.
    block.fill(0, length, (length + 3) & ~3);
    pieces.find(block, (length + 3) & ~3, (name, offset) => found(name, base + offset));
    at += got;
    read += got;
    carried = Math.min(overlap, length & ~3);
    block.copyWithin(0, length - carried, length);
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
        flags: [],
      });
      continue;
    }
    const [, key, value] = /^(\w+): +(.*)$/.exec(line) ?? [];
    const mapping = mappings.at(-1);
    if (key === "Rss" || key === "Swap") mapping.resident += parseInt(value, 10) * 1024;
    if (key === "VmFlags") mapping.flags = value.trim().split(" ");
  }
  return mappings;
}

const describe = ({ start, end, permissions, path }) =>
  `${start.toString(16)}-${end.toString(16)} ${permissions} ${path}`.trim();

/** Locked and left out of core dumps: nothing but the pool is both (the vsyscall page is not locked). */
function poolKind({ path, flags }) {
  if (path.startsWith("/secretmem")) return "memfd_secret";
  return flags.includes("lo") && flags.includes("dd") ? "mlock" : null;
}

function scanProcess(pid, pieces) {
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
      const seen = new Set();
      try {
        report.bytesRead += search(memory, mapping.start, mapping.end, pieces, (name, address) => {
          const key = `${name}@${address}`;
          if (seen.has(key)) return;
          seen.add(key);
          report.hits.push({ name, place: describe(mapping), address: address.toString(16), inPool: pool !== null });
        });
        report.mappings++;
      } catch (error) {
        report.unreadable.push({ place: describe(mapping), inPool: pool !== null, code: error.code });
      }
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

function scanCore(path, pieces) {
  const file = openSync(path, "r");
  const segments = segmentsOf(file);
  const report = { bytesRead: 0, mappings: segments.length, hits: [] };
  const seen = new Set();
  // The file as a whole: headers and notes too.
  report.bytesRead = search(file, 0, fstatSync(file).size, pieces, (name, offset) => {
    if (seen.has(`${name}@${offset}`)) return;
    seen.add(`${name}@${offset}`);
    const segment = segments.find(({ at, end }) => offset >= at && offset < end);
    const place = segment === undefined ? "outside segments" : segment.notes ? "notes (registers)" : "memory";
    const address = segment === undefined || segment.notes ? offset : segment.address + offset - segment.at;
    report.hits.push({ name, place: `core: ${place}`, address: address.toString(16), inPool: false });
  });
  closeSync(file);
  return report;
}

const order = JSON.parse(readFileSync(0, "utf8"));
const pieces = order.texts === undefined ? new Pieces(order.patterns) : new Fragments(order.texts);
process.stdout.write(
  JSON.stringify(order.core === undefined ? scanProcess(order.pid, pieces) : scanCore(order.core, pieces)),
);
