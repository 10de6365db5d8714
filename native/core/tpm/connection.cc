#include "core/tpm/connection.h"

namespace nomyo {
namespace {

bool IsTransportFailure(TSS2_RC rc) {
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  if (layer == TSS2_TCTI_RC_LAYER) return true;
  // ESAPI hands a response that makes no sense on as its own error, which a half-dead transport causes.
  const TSS2_RC base = rc & ~TSS2_RC_LAYER_MASK;
  return layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER &&
         (base == TSS2_BASE_RC_IO_ERROR || base == TSS2_BASE_RC_NO_CONNECTION ||
          base == TSS2_BASE_RC_MALFORMED_RESPONSE || base == TSS2_BASE_RC_INSUFFICIENT_RESPONSE ||
          base == TSS2_BASE_RC_BAD_SEQUENCE);
}

}  // namespace

Result<std::unique_ptr<TpmConnection>> TpmConnection::Open(const std::string& tcti) {
  const auto tss = TssEsys::Load();
  if (!tss) return tss.error();
  std::unique_ptr<TpmConnection> connection(new TpmConnection(tss.value()));
  const std::string what = "The TPM at \"" + tcti + "\" could not be opened";
  if (TSS2_RC rc = connection->tss().Tss2_TctiLdr_Initialize(tcti.c_str(), &connection->tcti_); rc != TSS2_RC_SUCCESS) {
    return connection->Fail(what, rc);
  }
  if (TSS2_RC rc = connection->tss().Esys_Initialize(&connection->esys_, connection->tcti_, nullptr);
      rc != TSS2_RC_SUCCESS) {
    return connection->Fail(what, rc);
  }
  // An empty PCR read is the cheapest command that every TPM answers. Without it a socket that nobody serves looks
  // open.
  const TPML_PCR_SELECTION nothing{};
  UINT32 counter = 0;
  const TSS2_RC rc = connection->tss().Esys_PCR_Read(connection->esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                                     &nothing, &counter, nullptr, nullptr);
  if (rc != TSS2_RC_SUCCESS) return connection->Fail(what, rc);
  return connection;
}

TpmConnection::~TpmConnection() {
  if (esys_ != nullptr) tss_->Esys_Finalize(&esys_);
  if (tcti_ != nullptr) tss_->Tss2_TctiLdr_Finalize(&tcti_);
}

TSS2_RC TpmConnection::Check(TSS2_RC rc) {
  if (IsTransportFailure(rc)) broken_ = true;
  return rc;
}

Error TpmConnection::Fail(const std::string& what, TSS2_RC rc) const {
  return {Code::kTpm, what + ": " + ExplainTss(rc) + "."};
}

TransientObject::~TransientObject() {
  if (handle_ == ESYS_TR_NONE) return;
  const TssEsys& tss = connection_.tss();
  const bool flush = !keep_ && !connection_.broken();
  if (flush && connection_.Check(tss.Esys_FlushContext(connection_.esys(), handle_)) == TSS2_RC_SUCCESS) return;
  // Kept, or gone with the connection: only ESAPI's own record is to be freed.
  tss.Esys_TR_Close(connection_.esys(), &handle_);
}

}  // namespace nomyo
