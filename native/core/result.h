// Result<T>: a value, or a stable code with one sentence for a person. The core throws nothing.
//
// Messages never hold a secret: no key, no plaintext, no password, no text of OpenSSL's about them.
#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace nomyo {

// Stable codes. CodeName() gives the string that JavaScript sees as `error.code`; lib/native.ts lists the same strings.
enum class Code {
  kInvalidArgument,   // INVALID_ARGUMENT      the caller's mistake
  kMemoryLock,        // MEMORY_LOCK           memory could not be locked, under `required`
  kOutOfMemory,       // OUT_OF_MEMORY         the system has no memory to give
  kDisposed,          // DISPOSED              a handle was used after it was disposed of
  kViewTaken,         // VIEW_TAKEN            a view of a secure buffer was moved out of reach; the buffer was wiped
  kCrypto,            // CRYPTO_FAILURE        OpenSSL failed where nothing but a defect or no memory explains it
  kKeyFormat,         // KEY_FORMAT            not a key of the expected form
  kKeyWeak,           // KEY_WEAK              a key that is too short or of an unacceptable kind
  kKeyPassword,       // KEY_PASSWORD          missing or wrong password, or one that is too short
  kPackageFormat,     // PACKAGE_FORMAT        not an encrypted package of the protocol's shape
  kPackageAlgorithm,  // PACKAGE_ALGORITHM     a version or algorithm that is not the protocol's
  kDecrypt,           // DECRYPT               the package does not open: one code whatever the cause
  kPlaintext,         // PLAINTEXT             what was opened is not UTF-8 JSON of an object
  kTooLarge,          // TOO_LARGE             over a size limit
  kUtf8,              // INVALID_UTF8          bytes that must be UTF-8 and are not
  kNotFound,          // NOT_FOUND             a JSON pointer that names nothing
  kCancelled,         // CANCELLED             nobody wants the outcome any more
  kQueueFull,         // QUEUE_FULL            the bounded queue is full
  kUnsupported,       // UNSUPPORTED           not supported on this system
  kTssMissing,        // TSS_MISSING           tpm2-tss is not installed
  kTpm,               // TPM_ERROR             a TPM, or the way to it, failed
};

// CodeName returns the stable string for a code.
std::string_view CodeName(Code code);

struct Error {
  Code code;
  std::string message;
};

// OutOfMemory is the error for where std::bad_alloc was caught: when there is no memory for its sentence either, a word
// that needs none.
Error OutOfMemory() noexcept;

// ErrorWithoutThrow is the error for other places where an exception would find nobody to catch it: OutOfMemory() when
// there is no memory for its sentence.
Error ErrorWithoutThrow(Code code, const char* message) noexcept;

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  T* operator->() { return &value(); }

  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

// Status is the outcome of a call that gives nothing back.
class [[nodiscard]] Status {
 public:
  Status() : ok_(true), error_{Code::kInvalidArgument, {}} {}
  Status(Error error) : ok_(false), error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  static Status Ok() { return {}; }
  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const { return error_; }

 private:
  bool ok_;
  Error error_;
};

}  // namespace nomyo
