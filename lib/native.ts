/**
 * The raw surface of the native addon, typed. Only `lib/` modules use it; nothing here is exported to users.
 *
 * Conventions of every function below:
 * - A wrong argument type throws a `TypeError`; everything else that fails throws, or rejects with, an `Error` whose
 *   `code` is a {@link NativeErrorCode}. Messages hold no secret and are fit for users.
 * - Functions that return a promise work on the package's own threads, on locked and wiped stacks; the rest are quick
 *   and run on the calling thread.
 * - Handles are opaque; they belong to the environment (thread) that made them. Disposing of one twice is harmless,
 *   using it afterwards throws `DISPOSED`.
 * - `Locking` decides what happens when memory cannot be locked.
 */
import { loadAddon } from "./native-loader.js";

export type NativeErrorCode =
  | "INVALID_ARGUMENT"
  | "MEMORY_LOCK"
  | "OUT_OF_MEMORY"
  | "DISPOSED"
  | "VIEW_TAKEN"
  | "CRYPTO_FAILURE"
  | "KEY_FORMAT"
  | "KEY_WEAK"
  | "KEY_PASSWORD"
  | "PACKAGE_FORMAT"
  | "PACKAGE_ALGORITHM"
  | "DECRYPT"
  | "PLAINTEXT"
  | "TOO_LARGE"
  | "INVALID_UTF8"
  | "NOT_FOUND"
  | "CANCELLED"
  | "QUEUE_FULL"
  | "UNSUPPORTED"
  | "TSS_MISSING"
  | "TPM_ERROR";

/** What happens when memory cannot be locked: it fails, goes on, or was not tried. */
export type Locking = "required" | "preferred" | "off";

declare const kind: unique symbol;
/** A secret in the pool: bytes that only {@link NativeAddon.bufferView} shows. */
export interface BufferHandle {
  readonly [kind]: "buffer";
}
/** An RSA private key, in the pool. */
export interface PrivateKeyHandle {
  readonly [kind]: "private-key";
}
/** An RSA public key. */
export interface PublicKeyHandle {
  readonly [kind]: "public-key";
}
/** An opened package: decrypted, authenticated, validated JSON of an object, in the pool. */
export interface OpenedHandle {
  readonly [kind]: "opened";
}
/** Cancels one job, whether it waits or runs. */
export interface CancelToken {
  readonly [kind]: "cancel-token";
}
/** A connection to a TPM, for making quotes. */
export interface TpmHandle {
  readonly [kind]: "tpm";
}

/** What the addon was made of, for `doctor` and for reports of faults. */
export interface BuildInfo {
  /** The package's version. */
  readonly version: string;
  /** The OpenSSL that runs, as it names itself. */
  readonly opensslVersion: string;
  /** The OpenSSL headers it was compiled with. */
  readonly opensslBuiltWith: string;
  /** Always true: the addon refuses to load otherwise. */
  readonly opensslIsOwn: boolean;
  readonly napiVersion: number;
  readonly compiler: string;
  readonly buildType: "release" | "debug";
}

/** Exact numbers of the locked pool, in bytes unless said otherwise. */
export interface PoolStats {
  /** Mapped for the pool now, locked or not (guard pages not counted). */
  readonly bytesMapped: number;
  /** Of these, locked. */
  readonly bytesLocked: number;
  /**
   * `bytesLocked` by the mechanism that locks them: those of `memfd_secret` cannot be read from outside the process.
   */
  readonly bytesLockedBy: Readonly<Record<LockMechanism, number>>;
  /** Handed out now, as asked for by callers. */
  readonly bytesInUse: number;
  /** The largest `bytesInUse` so far. */
  readonly bytesPeak: number;
  /** Live allocations (count). */
  readonly allocations: number;
  /** All allocations so far (count). */
  readonly totalAllocations: number;
  /** Chunks mapped now (count). */
  readonly chunks: number;
}

/** The ways in which memory is locked. */
export type LockMechanism = "memfd_secret" | "mlock" | "VirtualLock";

/** A system call that failed to lock memory, and what that means. */
export interface LockFailure {
  /** e.g. `mlock`. */
  readonly call: string;
  /** The error's name, e.g. `EPERM`. */
  readonly error: string;
  /** On Windows what `GetLastError()` said. */
  readonly errno: number;
  /**
   * `limit`: the lock limit is reached; `jail`: a filter of system calls or a security module forbids the call;
   * `unavailable`: the kernel does not have it, or not switched on (some seccomp profiles answer so too);
   * `descriptors`: no file descriptor was left; `memory`: the system had no memory or no mapping to give.
   */
  readonly cause: "limit" | "jail" | "unavailable" | "descriptors" | "memory";
}

export interface MemoryInfo {
  /**
   * How the memory that is locked at this moment is locked: `mixed` when by more than one mechanism
   * (`stats.bytesLockedBy` has the numbers). While nothing is locked: what will be tried first, or `none` once locking
   * was refused.
   */
  readonly mechanism: LockMechanism | "mixed" | "none";
  /** The mechanism that was demanded for this process; `null`: the best that there is. */
  readonly mechanismChosen: LockMechanism | null;
  /** Soft and hard lock limit in bytes; `null` means unlimited or not applicable. */
  readonly lockLimitSoft: number | null;
  readonly lockLimitHard: number | null;
  /** Whether swap is in use; `null` when it cannot be told. */
  readonly swapEnabled: boolean | null;
  /** Whether the process may dump core; `null` when it cannot be told. */
  readonly coreDumpsEnabled: boolean | null;
  /** Linux: kernel.yama.ptrace_scope, `null` where there is none. */
  readonly ptraceScope: number | null;
  /** Whether an allocation or a job under `preferred` has had to go on in memory that is not locked. */
  readonly degraded: boolean;
  /** The last time that memory could not be locked: why. */
  readonly lockRefused: LockFailure | null;
  /** The last time that memory was locked by a weaker mechanism than the first choice: why. */
  readonly weakerBecause: LockFailure | null;
  /** Whether OpenSSL allocates from the pool. */
  readonly opensslInPool: boolean;
  readonly stats: PoolStats;
  /** The package's own threads, for private-key work, opening and verifying; all clients of the process share them. */
  readonly threads: {
    /** Each has a stack of 128 KiB in the pool, and stays. */
    readonly started: number;
    /** The most that there will be. */
    readonly limit: number;
    /** Whether `limit` was chosen (the option `threads`), or is what this machine suggests. */
    readonly limitChosen: boolean;
    /** Jobs that wait for a thread. */
    readonly queued: number;
    /** Jobs under way. */
    readonly running: number;
  };
}

/**
 * A text as it is handed to {@link NativeAddon.seal}: a string without characters above U+00FF (they would be cut) of
 * at most 16 384 code units, or any text in pieces of at most that many. `wide` pieces may hold any code unit.
 */
export type SealText = string | { readonly wide: boolean; readonly pieces: readonly string[] };

export interface OpenLimits {
  /** Largest plaintext in bytes; over it: `TOO_LARGE`. */
  readonly maxPlaintextBytes: number;
  /** Deepest nesting of arrays and objects; over it: `PLAINTEXT`. */
  readonly maxDepth: number;
  /** The plaintext is digested too, by HMAC-SHA-256 with this key, which is copied, in the pool. */
  readonly digestKey?: BufferHandle;
}

/** The options of {@link NativeAddon.seal} and {@link NativeAddon.sealBytes}. */
export interface NativeSealOptions {
  readonly maxPlaintextBytes: number;
  /** The plaintext's likely length: sizes memory, no more. `sealBytes` knows it. */
  readonly expectedBytes?: number;
  /** `"bucket"`: filled up with spaces to the next power of two from 4 KiB on, at most to `maxPlaintextBytes`. */
  readonly padding?: "none" | "bucket";
  /** Unix seconds, in answers only. */
  readonly processedAt?: number;
  readonly locking: Locking;
}

/**
 * The same, with a key for the HMAC-SHA-256 of the plaintext without its padding: made block by block, before each is
 * encrypted.
 */
export interface DigestingSealOptions extends NativeSealOptions {
  readonly digestKey: BufferHandle;
}

/** A package, and the HMAC-SHA-256 of its plaintext in lower-case hex. */
export interface DigestedPackage {
  readonly sealed: Uint8Array<ArrayBuffer>;
  readonly hmac: string;
}

/** The facts of a key that are public. */
export interface PublicKeyInfo {
  readonly bits: number;
  /** SHA-256 of the SubjectPublicKeyInfo DER, lower-case hex. */
  readonly spkiSha256: string;
  /** PEM SubjectPublicKeyInfo, with a final newline. */
  readonly pem: string;
}

/** What {@link NativeAddon.scanObject} looks for among an object's own members. */
export interface ScanOptions {
  readonly find: readonly string[];
  readonly blank: readonly string[];
  /**
   * Refuses names that are not among these (which must be lower-case ASCII then) but that parsers which ignore case,
   * `_` and `-` take for one: `Model`, `\u017ftream`. Go's JSON reader takes the last of them.
   */
  readonly refuseFolded: boolean;
  readonly maxDepth: number;
}

export interface ScannedObject {
  /** For each name of `find`: where its value begins, and one past its last byte; null when it is not there. */
  readonly found: readonly ({ readonly begin: number; readonly end: number } | null)[];
  /** How many members were not blanked. */
  readonly left: number;
  /** Where the closing brace is. */
  readonly close: number;
}

/** Limits of {@link NativeAddon.echo}, and what it cannot know. */
export interface EchoOptions {
  /** Unix seconds. */
  readonly created: number;
  /** Largest answer in bytes; over it: `TOO_LARGE`. */
  readonly maxBytes: number;
  /** Deepest nesting of the request's arrays and objects. */
  readonly maxDepth: number;
  /** Bytes that the answer's buffer has beyond it. */
  readonly room: number;
}

export interface QuoteOptions {
  /** `"ecc-p256"` (default, ECDSA), `"rsa2048-rsassa"` or `"rsa2048-rsapss"`. */
  readonly aik?: "ecc-p256" | "rsa2048-rsassa" | "rsa2048-rsapss";
  /** The selection in tpm2-tools' grammar; `"sha256:0,7,10"` by default. */
  readonly pcrs?: string;
  /** A persistent AIK to use instead of an ephemeral one, e.g. 0x81010002. */
  readonly persistentHandle?: number;
}

/** `_metadata.tpm_attestation` as a server sends it. */
export interface TpmAttestationBlock {
  readonly is_available: boolean;
  readonly pcr_banks?: string;
  readonly pcr_values?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly quote_b64?: string;
  readonly signature_b64?: string;
  readonly aik_pubkey_b64?: string;
  readonly aik_cert_chain_b64?: readonly string[];
}

export interface NativeAddon {
  getBuildInfo(): BuildInfo;

  // -- jobs
  createCancelToken(): CancelToken;
  /**
   * Cancels the job that the token was given to, or will be: its promise rejects with `CANCELLED`, unless the work was
   * done before. A job that waits leaves the queue at once. One that runs stops within milliseconds (opening looks
   * every 64 KiB, key generation at each candidate for a prime); only a private-key operation goes on to its end. When
   * an environment ends, all its jobs are cancelled so.
   */
  cancel(token: CancelToken): void;

  // -- memory (native/addon/memory.cc)
  memoryInfo(): MemoryInfo;
  /** A part of `memoryInfo()`, without reading the rest from the system. */
  memorySetbacks(): Pick<MemoryInfo, "degraded" | "weakerBecause">;
  /** Turns core dumps off and makes the process not dumpable; throws `UNSUPPORTED` where there is no such thing. */
  hardenProcess(): void;
  /**
   * Demands a way of locking, for all memory that is locked from now on. The same again does nothing.
   * `INVALID_ARGUMENT`: another was chosen, or memory of another is in use; `MEMORY_LOCK`: this system does not have
   * it; `UNSUPPORTED`: there is none such.
   */
  setMemoryMechanism(mechanism: LockMechanism): void;
  /**
   * Chooses the most threads that there will be, 1 to 64, for good. The same again does nothing. `INVALID_ARGUMENT`:
   * another number was chosen, more have started already, or it is none of these.
   */
  setThreadLimit(threads: number): void;
  /** Checks that the pool can give `bytes` under `locking`; throws `MEMORY_LOCK` with limit and remedy. */
  memoryProbe(bytes: number, locking: Locking): void;
  bufferAlloc(size: number, locking: Locking): BufferHandle;
  /** Copies; the source is the caller's to wipe. A string is written as UTF-8 (lone surrogates: `INVALID_UTF8`). */
  bufferFrom(source: Uint8Array | string, locking: Locking): BufferHandle;
  bufferLength(buffer: BufferHandle): number;
  bufferLocked(buffer: BufferHandle): boolean;
  bufferDisposed(buffer: BufferHandle): boolean;
  /**
   * Calls `fn` with a view of the pool's bytes, returns what it returns, and detaches the view whatever becomes of the
   * call. A view that is not whole by then: the buffer is wiped, its memory never used again, and `VIEW_TAKEN` thrown.
   * While one is out, disposal throws.
   */
  bufferUse<T>(buffer: BufferHandle, fn: (view: Uint8Array) => T): T;
  /**
   * A view for the package's own code, valid until {@link NativeAddon.bufferReleaseView}: what a caller gave must never
   * see it, since the memory is taken to be free when the environment ends.
   */
  bufferView(buffer: BufferHandle): Uint8Array;
  /** Detaches the view: its length becomes 0. */
  bufferReleaseView(buffer: BufferHandle, view: Uint8Array): void;
  /** A JavaScript string of the bytes, which must be UTF-8 (`INVALID_UTF8`). */
  bufferToString(buffer: BufferHandle): string;
  /** Constant time for equal lengths. */
  bufferEquals(a: BufferHandle, b: BufferHandle | Uint8Array): boolean;
  /**
   * Wipes the bytes, unless another handle shares them. Harmless twice; throws while a view of this very handle is out.
   */
  bufferDispose(buffer: BufferHandle): void;
  /** Another handle on the same bytes, which are wiped when both are disposed of. */
  bufferShare(buffer: BufferHandle): BufferHandle;
  /**
   * Whether this is a buffer's handle of this very addon, whichever copy of the package's JavaScript got it. Never
   * throws.
   */
  isBuffer(value: unknown): value is BufferHandle;

  // -- keys (native/addon/crypto.cc)
  /**
   * `bits`: 2048, 3072 or 4096. `background`: the work does not keep the process alive; whoever waits for it must do
   * that.
   */
  generatePrivateKey(
    bits: number,
    locking: Locking,
    token?: CancelToken,
    background?: boolean,
  ): Promise<PrivateKeyHandle>;
  /**
   * PKCS#8 (encrypted or not) or PKCS#1 PEM. `KEY_FORMAT`, `KEY_WEAK` (not RSA, under 2048 bits), `KEY_PASSWORD`.
   */
  importPrivateKey(
    pem: BufferHandle,
    password: BufferHandle | null,
    locking: Locking,
    token?: CancelToken,
  ): Promise<PrivateKeyHandle>;
  /** PKCS#8 PEM; with a password PBES2 with AES-256-CBC and PBKDF2. */
  exportPrivateKey(key: PrivateKeyHandle, password: BufferHandle | null, locking: Locking): Promise<BufferHandle>;
  privateKeyPublic(key: PrivateKeyHandle): PublicKeyHandle;
  privateKeyDispose(key: PrivateKeyHandle): void;
  /**
   * SPKI PEM of an RSA key of `minBits` to `maxBits` (8192, which is also the most there can be), with a public
   * exponent of 32 bits at most: whose key it is decides how costly sealing to it is. `KEY_FORMAT`, `KEY_WEAK`.
   */
  importPublicKey(pem: string, minBits: number, maxBits?: number): PublicKeyHandle;
  publicKeyInfo(key: PublicKeyHandle): PublicKeyInfo;
  /** Wipes the AES key that may lie ready, wrapped for this key. The handle works on. */
  publicKeyDropAhead(key: PublicKeyHandle): void;
  /** Frees the key now instead of when the handle is collected; using the handle afterwards throws `DISPOSED`. */
  publicKeyDispose(key: PublicKeyHandle): void;

  // -- packages (native/addon/seal.cc, native/addon/open.cc)
  /**
   * Seals JSON to `recipient` and returns the whole package, ready to be sent.
   *
   * `skeleton` is what `JSON.stringify` made with every long string and every secret taken out, each leaving the string
   * `marker` (ASCII, its first character nowhere else in it) in its place; `slots` are the taken values in order.
   * Errors: `TOO_LARGE` (over `maxPlaintextBytes`), `INVALID_UTF8`, `DISPOSED`, `MEMORY_LOCK`, `OUT_OF_MEMORY`,
   * `INVALID_ARGUMENT` (the skeleton does not hold the marker exactly once for each slot).
   */
  seal(
    recipient: PublicKeyHandle,
    skeleton: SealText,
    marker: string,
    slots: readonly (SealText | BufferHandle)[],
    options: DigestingSealOptions,
  ): DigestedPackage;
  seal(
    recipient: PublicKeyHandle,
    skeleton: SealText,
    marker: string,
    slots: readonly (SealText | BufferHandle)[],
    options: NativeSealOptions,
  ): Uint8Array<ArrayBuffer>;
  /**
   * Seals bytes that are already the UTF-8 JSON of one object, which the caller answers for; usually a view of pool
   * memory. Options and errors as for {@link NativeAddon.seal}.
   */
  sealBytes(recipient: PublicKeyHandle, json: Uint8Array, options: DigestingSealOptions): DigestedPackage;
  sealBytes(recipient: PublicKeyHandle, json: Uint8Array, options: NativeSealOptions): Uint8Array<ArrayBuffer>;
  /**
   * Opens a package. `body` is copied before the call returns: no thread reads memory that JavaScript can reach. Over a
   * SharedArrayBuffer or a resizable ArrayBuffer it is refused (`INVALID_ARGUMENT`). Errors: `PACKAGE_FORMAT`,
   * `PACKAGE_ALGORITHM`, `DECRYPT`, `PLAINTEXT`, `TOO_LARGE`, `MEMORY_LOCK`, `CANCELLED`, `QUEUE_FULL`,
   * `OUT_OF_MEMORY`.
   */
  open(
    key: PrivateKeyHandle,
    body: Uint8Array,
    limits: OpenLimits,
    locking: Locking,
    token?: CancelToken,
  ): Promise<OpenedHandle>;
  /** The plaintext as a value, exactly as `JSON.parse` would make it. */
  openedValue(opened: OpenedHandle): unknown;
  /**
   * The value at an RFC 6901 pointer (`""` is the whole); `NOT_FOUND`. `TOO_LARGE` when its JSON has more than
   * `mostBytes`, before anything of it becomes a value.
   */
  openedGet(opened: OpenedHandle, pointer: string, mostBytes?: number): unknown;
  /** The string at a pointer as UTF-8 in the pool, never as a JavaScript string; `NOT_FOUND` when there is none. */
  openedGetBuffer(opened: OpenedHandle, pointer: string, locking: Locking): BufferHandle;
  /** The plaintext as one string. */
  openedText(opened: OpenedHandle): string;
  /** The `processed_at` of the package, if it had one. */
  openedProcessedAt(opened: OpenedHandle): number | undefined;
  openedByteLength(opened: OpenedHandle): number;
  /** The plaintext's digest in lower-case hex, where a key was given; still there when the plaintext is not. */
  openedHmac(opened: OpenedHandle): string | undefined;
  /** Moves the plaintext's bytes, without a copy, to a buffer of the caller's; `opened` is disposed of. */
  openedTakeBuffer(opened: OpenedHandle): BufferHandle;
  openedDispose(opened: OpenedHandle): void;

  // -- digests (native/addon/digest.cc), lower-case hex
  /** SHA-256, on the calling thread: some 2 GB a second where the processor has instructions for it, else a fifth. */
  sha256(bytes: Uint8Array): string;
  /** The same of a copy, which is made before this returns, on the package's threads. `QUEUE_FULL`, `OUT_OF_MEMORY`. */
  sha256Async(bytes: Uint8Array): Promise<string>;
  /** HMAC-SHA-256 of what lies in the pool. An empty key is refused (`CRYPTO_FAILURE`). */
  hmacSha256(key: BufferHandle, data: BufferHandle, locking: Locking): string;

  // -- descriptors (native/addon/descriptor.cc): secrets that come from pipes, terminals and files
  /**
   * Reads (read(2)) into the buffer from `offset` on what is there, and never waits: -1 when nothing is, 0 at the end,
   * else the number of bytes. `UNSUPPORTED` names the system's error.
   */
  readDescriptor(fd: number, buffer: BufferHandle, offset: number): number;
  /** Copies all of `from` to the beginning of `to`, which is at least as large. */
  bufferCopy(from: BufferHandle, to: BufferHandle): void;
  /** Cuts a buffer to its first `length` bytes and wipes the rest; not while a view is out. */
  bufferTruncate(buffer: BufferHandle, length: number): void;
  /**
   * Whether the terminal shows what is typed; what was typed before and not read is dropped. `UNSUPPORTED`: it is no
   * terminal.
   */
  terminalEcho(fd: number, on: boolean): void;

  // -- files (native/addon/file_lock.cc)
  /**
   * Locks an open file for this descriptor alone, without waiting: false when somebody else has it locked, in this
   * process too. The lock ends when the descriptor is closed, or its process ends. `UNSUPPORTED` where the file system
   * has no locks.
   */
  tryLockFile(fd: number): boolean;

  // -- looking at JSON in the pool (native/addon/json_members.cc)
  /**
   * Goes once over the members of the JSON object in the first `byteLength` bytes of `buffer`, on the package's
   * threads; nothing of it becomes a JavaScript value. `find`: where the values of these names are. `blank`: members
   * that are overwritten with spaces, with one comma each. `refuseFolded`: see {@link ScanOptions}. No view of the
   * bytes may be out, of any handle (`INVALID_ARGUMENT`), nor be taken meanwhile.
   *
   * `PLAINTEXT` when the bytes are not the JSON of one object, are nested deeper than `maxDepth`, have more than 4 096
   * members or a name twice; the message is for the middle of a sentence, and holds nothing of the text. `CANCELLED`,
   * `QUEUE_FULL`, `MEMORY_LOCK`.
   */
  scanObject(
    buffer: BufferHandle,
    byteLength: number,
    options: ScanOptions,
    locking: Locking,
    token?: CancelToken,
  ): Promise<ScannedObject>;

  // -- the echo model (native/addon/echo.cc)
  /**
   * Answers the chat completion's request in the first `byteLength` bytes of `request`, as core/echo/answer.h says, on
   * the package's threads: nothing of either becomes a JavaScript value. The answer is the first `length` bytes of
   * `buffer`. No view of the request may be out, of any handle (`INVALID_ARGUMENT`), nor be taken meanwhile.
   *
   * `PLAINTEXT` when the request is none, with a sentence for its sender; `TOO_LARGE` also when a JSON schema in it
   * would cost too much to follow. `CANCELLED`, `QUEUE_FULL`, `MEMORY_LOCK`.
   */
  echo(
    request: BufferHandle,
    byteLength: number,
    options: EchoOptions,
    locking: Locking,
    token?: CancelToken,
  ): Promise<{ readonly buffer: BufferHandle; readonly length: number }>;

  /**
   * The events (`text/event-stream`) that a streaming server would have sent for the chat completion whose JSON is all
   * of `answer`, `data: [DONE]` included, on the package's threads: those that chat/chunks.ts makes of its value, with
   * `metadata` (JSON) as the last one's `_metadata`. No view of the bytes may be out (`INVALID_ARGUMENT`), nor be taken
   * meanwhile.
   *
   * `PLAINTEXT` when the answer is not of that form, or has a name twice that is looked at; the message is for the
   * middle of a sentence, and holds nothing of the text. `TOO_LARGE` over `maxBytes`: each event repeats what stands
   * beside the choices. `CANCELLED`, `QUEUE_FULL`, `MEMORY_LOCK`.
   */
  composeChatEvents(
    answer: BufferHandle,
    options: {
      readonly metadata: string;
      readonly includeUsage: boolean;
      readonly maxDepth: number;
      readonly maxBytes: number;
    },
    locking: Locking,
    token?: CancelToken,
  ): Promise<BufferHandle>;

  // -- attestation (native/addon/attestation.cc)
  /**
   * Verifies a block. `block` is a JSON text of whatever the server sent; `qualifyingData` the expected 16 bytes (or
   * other, for quotes made elsewhere); `policyJson` a policy that lib/attestation has checked. Resolves to the report
   * (an `AttestationVerdict`), whatever the block holds. `at`: unix seconds at which certificates must have been valid;
   * now without it.
   *
   * On the package's threads; but where the AIK's signature was right before, is quick to check (RSA, P-256), and no
   * certificate is asked for, on the calling one, where it takes less (0.1 ms at most) than the way to another does.
   */
  verifyAttestation(
    block: string,
    qualifyingData: Uint8Array,
    policyJson: string,
    engineTcti: string | null,
    at?: number,
  ): Promise<object>;
  /**
   * The block's structures as JSON text for people to look at, unverified; `INVALID_ARGUMENT` when it cannot be parsed.
   */
  parseAttestation(block: string): string;
  /** Opens the TPM at a TCTI string (`device:/dev/tpmrm0`, `swtpm:host=…,port=…`). `TSS_MISSING`, `TPM_ERROR`. */
  tpmOpen(tcti: string): Promise<TpmHandle>;
  /** Makes a fresh AIK and a quote over `qualifyingData`; the block of docs/attestation.md, without certificates. */
  tpmQuote(tpm: TpmHandle, qualifyingData: Uint8Array, options: QuoteOptions): Promise<TpmAttestationBlock>;
  tpmClose(tpm: TpmHandle): void;
  /** Version and path of the tpm2-tss libraries that were found, or why none was. */
  tssInfo(): { readonly available: boolean; readonly mu?: string; readonly esys?: string; readonly detail: string };
}

export const native = loadAddon() as NativeAddon;
