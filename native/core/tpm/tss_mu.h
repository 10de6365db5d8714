// TssMu: libtss2-mu, which turns TPM structures into C structures and back. Loaded when attestation is first asked for.
#pragma once

#include <string>

#include <tss2/tss2_mu.h>

#include "core/result.h"
#include "core/tpm/dynamic_library.h"

namespace nomyo {

// TssMu is the table of the library's functions that this package calls, each with its type from tss2_mu.h. They are
// stateless: any thread, any number at once. Callers zero the destination of an unmarshalling themselves, because old
// versions leave parts of it untouched.
struct TssMu {
  decltype(&Tss2_MU_TPMS_ATTEST_Marshal) attest_marshal = nullptr;
  decltype(&Tss2_MU_TPMS_ATTEST_Unmarshal) attest_unmarshal = nullptr;
  decltype(&Tss2_MU_TPMT_SIGNATURE_Marshal) signature_marshal = nullptr;
  decltype(&Tss2_MU_TPMT_SIGNATURE_Unmarshal) signature_unmarshal = nullptr;
  // Not the TPM2B_PUBLIC pair: version 3.2.1 ignores errors inside it.
  decltype(&Tss2_MU_TPMT_PUBLIC_Marshal) public_marshal = nullptr;
  decltype(&Tss2_MU_TPMT_PUBLIC_Unmarshal) public_unmarshal = nullptr;
  // The file that they come from; empty when the system does not say.
  std::string path;

  // Load returns the process's one table. The first call that finds the library loads it for good; a call that does
  // not find it fails with kTssMissing and a message that names the system package, and the next call looks again.
  static Result<const TssMu*> Load();

 private:
  DynamicLibrary library_;
};

}  // namespace nomyo
