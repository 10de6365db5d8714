#include "core/tpm/tss_esys.h"

#include <cstdint>
#include <cstdio>
#include <mutex>

#include <openssl/crypto.h>

#include "core/tpm/tss_names.h"

namespace nomyo {
namespace {

Error Missing(const std::string& reason) {
  return {Code::kTssMissing,
          "tpm2-tss is needed to talk to a TPM and could not be loaded. On Debian or Ubuntu install libtss2-dev, which "
          "depends on "
          "every library of the release and on the transports; on Fedora tpm2-tss; elsewhere tpm2-tss 3 or newer. (" +
              reason + ")"};
}

}  // namespace

Status TssEsys::Bind() {
  const auto open = [](DynamicLibrary& library, std::span<const char* const> names) -> Status {
    auto opened = DynamicLibrary::Open(names);
    if (!opened) return Missing(opened.error().message);
    library = std::move(opened).value();
    return Status::Ok();
  };
  if (Status s = open(esys_, kTssEsysNames); !s) return s;
  if (Status s = open(tctildr_, kTssTctiLdrNames); !s) return s;
// NOLINTBEGIN(bugprone-macro-parentheses): a member's name cannot be in parentheses
#define NOMYO_TSS_BIND(library, name) \
  if (Status s = library.Bind(#name, name); !s) return Missing(s.error().message);
  NOMYO_TSS_FUNCTIONS(NOMYO_TSS_BIND)
#undef NOMYO_TSS_BIND
  // NOLINTEND(bugprone-macro-parentheses)
  // ESAPI brings the shared libcrypto, which frees its state in exit(), while a thread of ours may be inside it.
  // Nothing needs to be freed then. (Absent when tpm2-tss was built with another library; when someone else has started
  // that libcrypto before us this comes too late, and TpmDevice's exit gate is what helps.)
  int (*init_crypto)(std::uint64_t, const void*) = nullptr;
  if (esys_.Bind("OPENSSL_init_crypto", init_crypto)) init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
  path_ = DynamicLibrary::PathOf(reinterpret_cast<const void*>(Esys_Initialize));
  return Status::Ok();
}

Result<const TssEsys*> TssEsys::Load() {
  static std::mutex mutex;
  static const TssEsys* loaded = nullptr;
  std::lock_guard lock(mutex);
  if (loaded != nullptr) return loaded;
  std::unique_ptr<TssEsys> table(new TssEsys);
  if (Status s = table->Bind(); !s) return s.error();
  loaded = table.release();  // for good: a thread of ours may still be inside a call when the process ends
  return loaded;
}

std::string ExplainTss(TSS2_RC rc) {
  char hex[16];
  static_cast<void>(std::snprintf(hex, sizeof hex, "0x%x", static_cast<unsigned>(rc)));
  const auto with = [&hex](const char* text) { return std::string(text) + " (" + hex + ")"; };
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  if (layer == TSS2_TCTI_RC_LAYER) {
    switch (rc & ~TSS2_RC_LAYER_MASK) {
      case TSS2_BASE_RC_IO_ERROR: return with("the connection to the TPM failed");
      case TSS2_BASE_RC_NO_CONNECTION: return with("there is no connection to the TPM");
      case TSS2_BASE_RC_BAD_VALUE: return with("the TCTI string has a value that the transport does not know");
      case TSS2_BASE_RC_NOT_SUPPORTED: return with("no such TCTI transport");
      default: return with("the transport to the TPM failed");
    }
  }
  if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER) return with("tpm2-tss failed");
  // TPM 2.0 Part 2, 6.6: with bit 7 set (format 1) the low six bits are the error, the rest says which parameter.
  const TSS2_RC code = rc & 0xfff;
  const TSS2_RC base = (code & TPM2_RC_FMT1) != 0 ? (code & (TPM2_RC_FMT1 | 0x3f)) : code;
  switch (base) {
    case TPM2_RC_INITIALIZE: return with("the TPM has not been started (TPM2_Startup)");
    case TPM2_RC_FAILURE: return with("the TPM is in failure mode");
    case TPM2_RC_OBJECT_MEMORY:
      return with("the TPM has no free slot for a key; flush transient objects or use /dev/tpmrm0");
    case TPM2_RC_RETRY: return with("the TPM was too busy");
    case TPM2_RC_LOCKOUT: return with("the TPM is locked out after failed authorizations");
    case TPM2_RC_BAD_AUTH:
    case TPM2_RC_AUTH_FAIL: return with("the TPM wants an authorization for this object");
    case TPM2_RC_HANDLE: return with("the TPM has no object at this handle");
    case TPM2_RC_CURVE: return with("the TPM does not have this curve");
    case TPM2_RC_SCHEME: return with("the TPM does not have this signature scheme");
    case TPM2_RC_HASH: return with("the TPM does not have this hash");
    case TPM2_RC_KEY_SIZE:
    case TPM2_RC_VALUE: return with("the TPM does not have this size or value");
    case TPM2_RC_KEY: return with("the key is not one that may sign a quote");
    case TPM2_RC_SIGNATURE: return with("the TPM finds the signature invalid");
    default: return with("the TPM refused the command");
  }
}

}  // namespace nomyo
