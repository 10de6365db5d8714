#include "core/tpm/tss_mu.h"

#include <mutex>

#include "core/tpm/tss_names.h"

namespace nomyo {

Result<const TssMu*> TssMu::Load() {
  static std::mutex mutex;
  static TssMu table;
  std::lock_guard lock(mutex);
  if (table.library_) return &table;
  Result<DynamicLibrary> library = DynamicLibrary::Open(kTssMuNames);
  if (!library) {
    return Error{
        Code::kTssMissing,
        "TPM attestation needs the system library libtss2-mu (Debian 12: libtss2-mu0, Debian 13: "
        "libtss2-mu-4.0.1-0t64, any release of Debian and Ubuntu: tpm2-tools brings it; Fedora: tpm2-tss, Alpine: "
        "tpm2-tss-mu). Install it and try again. Loader: " +
            library.error().message};
  }
  TssMu found;
  for (const Status& status : {library->Bind("Tss2_MU_TPMS_ATTEST_Marshal", found.attest_marshal),
                               library->Bind("Tss2_MU_TPMS_ATTEST_Unmarshal", found.attest_unmarshal),
                               library->Bind("Tss2_MU_TPMT_SIGNATURE_Marshal", found.signature_marshal),
                               library->Bind("Tss2_MU_TPMT_SIGNATURE_Unmarshal", found.signature_unmarshal),
                               library->Bind("Tss2_MU_TPMT_PUBLIC_Marshal", found.public_marshal),
                               library->Bind("Tss2_MU_TPMT_PUBLIC_Unmarshal", found.public_unmarshal)}) {
    if (!status) {
      return Error{Code::kTssMissing, "The system's libtss2-mu lacks a function that attestation needs; install " +
                                          std::string("tpm2-tss 2.0 or newer. Loader: ") + status.error().message};
    }
  }
  found.path = DynamicLibrary::PathOf(reinterpret_cast<const void*>(found.attest_unmarshal));
  found.library_ = std::move(*library);
  table = std::move(found);
  return &table;
}

}  // namespace nomyo
