// TpmConnection: one open way to a TPM through ESAPI.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "core/tpm/tss_esys.h"

namespace nomyo {

// One thread at a time (an ESAPI context is not thread-safe). Every command blocks until the TPM answers, and not every
// transport knows a time limit (tpm2-tss 3.2 has none for swtpm, whatever is asked of it), so a connection belongs on a
// thread that may be given up: TpmDevice's.
class TpmConnection {
 public:
  // Open connects to `tcti` ("device:/dev/tpmrm0", "swtpm:path=…", "swtpm:host=…,port=…") and asks the TPM for a sign
  // of life. Errors: kTssMissing; kTpm.
  static Result<std::unique_ptr<TpmConnection>> Open(const std::string& tcti);

  TpmConnection(const TpmConnection&) = delete;
  TpmConnection& operator=(const TpmConnection&) = delete;
  ~TpmConnection();

  const TssEsys& tss() const { return *tss_; }
  ESYS_CONTEXT* esys() const { return esys_; }

  // Check passes the outcome of a command through, and remembers a failure of the transport.
  TSS2_RC Check(TSS2_RC rc);

  // broken is true once the transport failed: close the connection and open another.
  bool broken() const { return broken_; }

  // Own wraps what ESAPI allocated.
  template <class T>
  EsysOwned<T> Own(T* memory) const {
    return EsysOwned<T>(memory, EsysFree{tss_});
  }

  // Fail makes the kTpm error for `rc` of a command: "<what>: <the meaning of rc>."
  Error Fail(const std::string& what, TSS2_RC rc) const;

 private:
  explicit TpmConnection(const TssEsys* tss) : tss_(tss) {}

  const TssEsys* tss_;
  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  ESYS_CONTEXT* esys_ = nullptr;
  bool broken_ = false;
};

// TransientObject owns a key loaded into the TPM and flushes it: a TPM has room for three. On its connection's thread.
class TransientObject {
 public:
  explicit TransientObject(TpmConnection& connection) : connection_(connection) {}
  TransientObject(const TransientObject&) = delete;
  TransientObject& operator=(const TransientObject&) = delete;
  ~TransientObject();

  ESYS_TR* out() { return &handle_; }
  ESYS_TR handle() const { return handle_; }
  // KeepInTpm makes the destructor forget the object without flushing it: for persistent keys.
  void KeepInTpm() { keep_ = true; }

 private:
  TpmConnection& connection_;
  ESYS_TR handle_ = ESYS_TR_NONE;
  bool keep_ = false;
};

}  // namespace nomyo
