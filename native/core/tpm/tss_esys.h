// TssEsys: the functions of tpm2-tss that talk to a TPM (ESAPI, the TCTI loader), loaded at run time.
#pragma once

#include <memory>
#include <string>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "core/result.h"
#include "core/tpm/dynamic_library.h"

namespace nomyo {

// A table of function pointers whose types are the headers' own (decltype), so that a wrong call does not compile. It
// never changes: any thread; what the functions say of threads is their library's.
class TssEsys {
 public:
  // Load returns the process's one table. The first call that finds the libraries loads them for good; one that does
  // not fails with kTssMissing, naming the packages to install, and the next call looks again. Any thread.
  static Result<const TssEsys*> Load();

  // path is the file of libtss2-esys that was loaded; empty when the system does not say.
  const std::string& path() const { return path_; }

#define NOMYO_TSS_FUNCTIONS(F)         \
  F(esys_, Esys_Initialize)            \
  F(esys_, Esys_Finalize)              \
  F(esys_, Esys_Free)                  \
  F(esys_, Esys_CreatePrimary)         \
  F(esys_, Esys_Quote)                 \
  F(esys_, Esys_PCR_Read)              \
  F(esys_, Esys_FlushContext)          \
  F(esys_, Esys_TR_FromTPMPublic)      \
  F(esys_, Esys_TR_Close)              \
  F(esys_, Esys_ReadPublic)            \
  F(esys_, Esys_LoadExternal)          \
  F(esys_, Esys_VerifySignature)       \
  F(tctildr_, Tss2_TctiLdr_Initialize) \
  F(tctildr_, Tss2_TctiLdr_Finalize)

// NOLINTNEXTLINE(bugprone-macro-parentheses): a declared name
#define NOMYO_TSS_MEMBER(library, function) decltype(::function)* function = nullptr;
  NOMYO_TSS_FUNCTIONS(NOMYO_TSS_MEMBER)
#undef NOMYO_TSS_MEMBER

 private:
  TssEsys() = default;
  Status Bind();

  DynamicLibrary esys_;
  DynamicLibrary tctildr_;
  std::string path_;
};

// EsysOwned owns what ESAPI allocated. Only Esys_Free may free it: the library may have another allocator than we.
struct EsysFree {
  const TssEsys* tss = nullptr;
  void operator()(void* memory) const { tss->Esys_Free(memory); }
};
template <class T>
using EsysOwned = std::unique_ptr<T, EsysFree>;

// ExplainTss says in words what a response code means, with the code: "0x902 (…)". Any thread.
std::string ExplainTss(TSS2_RC rc);

}  // namespace nomyo
