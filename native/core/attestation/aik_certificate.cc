#include "core/attestation/aik_certificate.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "core/crypto/crypto_error.h"

namespace nomyo {
namespace {

constexpr const char* kAikCertificateUsage = "2.23.133.8.3";  // tcg-kp-AIKCertificate
constexpr int kSecurityLevel = 2;
constexpr int kMaxDepth = 8;

using OwnedStore = std::unique_ptr<X509_STORE, OpenSslDeleter<X509_STORE_free>>;
using OwnedStoreContext = std::unique_ptr<X509_STORE_CTX, OpenSslDeleter<X509_STORE_CTX_free>>;
using OwnedUsage = std::unique_ptr<EXTENDED_KEY_USAGE, OpenSslDeleter<EXTENDED_KEY_USAGE_free>>;
using OwnedObject = std::unique_ptr<ASN1_OBJECT, OpenSslDeleter<ASN1_OBJECT_free>>;
// The stack only borrows: the certificates have owners.
struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using BorrowedStack = std::unique_ptr<STACK_OF(X509), FreeStack>;

Error Refused(const char* what) {
  return {Code::kInvalidArgument, what};
}

bool HasAikUsage(X509* certificate) {
  const OwnedUsage usages(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
  const OwnedObject wanted(OBJ_txt2obj(kAikCertificateUsage, 1));
  if (usages == nullptr || wanted == nullptr) return false;
  for (int i = 0; i < sk_ASN1_OBJECT_num(usages.get()); ++i) {
    if (OBJ_cmp(sk_ASN1_OBJECT_value(usages.get(), i), wanted.get()) == 0) return true;
  }
  return false;
}

Status CheckPath(X509* leaf, STACK_OF(X509) * issuers, std::span<const X509Certificate> roots,
                 std::optional<std::int64_t> at) {
  const OwnedStore store(X509_STORE_new());
  const OwnedStoreContext context(X509_STORE_CTX_new());
  if (store == nullptr || context == nullptr) return CryptoError("checking the AIK's certificates");
  for (const X509Certificate& root : roots) {
    if (X509_STORE_add_cert(store.get(), root.get()) != 1) return CryptoError("checking the AIK's certificates");
  }
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf, issuers) != 1)
    return CryptoError("checking the AIK's certificates");
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_auth_level(parameters, kSecurityLevel);
  X509_VERIFY_PARAM_set_depth(parameters, kMaxDepth);
  if (at) X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(*at));
  if (X509_verify_cert(context.get()) == 1) return Status::Ok();
  switch (X509_STORE_CTX_get_error(context.get())) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Refused("The AIK's certificate, or one of its issuers', is not valid at this time.");
    default: return Refused("The AIK's certificate does not lead to a root of the policy.");
  }
}

Status Check(std::span<const Bytes> chain, std::span<const X509Certificate> roots, EVP_PKEY* aik,
             std::optional<std::int64_t> at) {
  std::vector<X509Certificate> certificates;
  for (const Bytes& der : chain) {
    const std::uint8_t* position = der.data();
    X509Certificate certificate(d2i_X509(nullptr, &position, static_cast<long>(der.size())));
    if (certificate == nullptr || position != der.data() + der.size()) {
      return Refused("aik_cert_chain_b64 holds something that is not one DER certificate.");
    }
    certificates.push_back(std::move(certificate));
  }
  if (certificates.empty()) return Refused("aik_cert_chain_b64 holds no certificate.");
  X509* leaf = certificates.front().get();

  const BorrowedStack issuers(sk_X509_new_null());
  if (issuers == nullptr) return CryptoError("checking the AIK's certificates");
  for (std::size_t i = 1; i < certificates.size(); ++i) {
    if (sk_X509_push(issuers.get(), certificates[i].get()) <= 0) return CryptoError("checking the AIK's certificates");
  }
  if (Status path = CheckPath(leaf, issuers.get(), roots, at); !path) return path;

  const std::uint32_t flags = X509_get_extension_flags(leaf);
  if ((flags & EXFLAG_BCONS) == 0 || (flags & EXFLAG_CA) != 0 || X509_check_ca(leaf) != 0) {
    return Refused("The AIK's certificate does not say CA:FALSE.");
  }
  // Without the extension every usage is allowed, and the function returns all ones.
  if ((X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0) {
    return Refused("The AIK's certificate is not for signing.");
  }
  if (!HasAikUsage(leaf)) return Refused("The AIK's certificate lacks the usage of AIK certificates (2.23.133.8.3).");
  if (EVP_PKEY_eq(X509_get0_pubkey(leaf), aik) != 1) return Refused("The certificate is for another key than the AIK.");
  return Status::Ok();
}

}  // namespace

Status VerifyAikCertificate(std::span<const Bytes> chain, std::span<const X509Certificate> roots, EVP_PKEY* aik,
                            std::optional<std::int64_t> at) {
  Status status = Check(chain, roots, aik, at);
  ERR_clear_error();
  return status;
}

}  // namespace nomyo
