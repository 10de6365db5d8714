// Certified AIKs: chains of a CA that is made here.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "test/attestation/forge.h"
#include "test/attestation/judge.h"
#include "test/threads/stack_use.h"

namespace nomyo {
namespace {

using test::CodeOf;
using test::Forgery;
using test::Key;
using test::Verify;

constexpr const char* kAikUsage = "2.23.133.8.3";
constexpr const char* kEkUsage = "2.23.133.8.1";

struct Certificate {
  X509* x509 = nullptr;
  EVP_PKEY* key = nullptr;
};

// Order is what a certificate is to be like; as it stands, a good AIK certificate.
struct Order {
  std::string subject = "AIK";
  EVP_PKEY* key = test::KeyOf(Key::kRsa2048);
  Certificate issuer;             // none: self-signed
  EVP_PKEY* signed_by = nullptr;  // another key than the issuer's
  std::string constraints = "critical,CA:FALSE";
  std::string usage = kAikUsage;
  std::string key_usage = "critical,digitalSignature";
  std::string other_extension;
  long from_days = -1, to_days = 1;
  const EVP_MD* md = EVP_sha256();
};

// The certificates live as long as the process, as the test keys do.
Certificate Issue(const Order& order) {
  X509* x509 = X509_new();
  static long serial = 1;
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
  X509_time_adj_ex(X509_getm_notBefore(x509), static_cast<int>(order.from_days), 0, nullptr);
  X509_time_adj_ex(X509_getm_notAfter(x509), static_cast<int>(order.to_days), 0, nullptr);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(order.subject.c_str()), -1, -1, 0);
  X509* issuer = order.issuer.x509 != nullptr ? order.issuer.x509 : x509;
  X509_set_issuer_name(x509, X509_get_subject_name(issuer));
  X509_set_pubkey(x509, order.key);
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  const auto add = [&](int nid, const std::string& value) {
    if (value.empty()) return;
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    EXPECT_NE(extension, nullptr) << value;
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  };
  add(NID_basic_constraints, order.constraints);
  add(NID_key_usage, order.key_usage);
  add(NID_ext_key_usage, order.usage);
  if (!order.other_extension.empty()) {
    X509_EXTENSION* extension = X509V3_EXT_conf(nullptr, &context, "1.2.3.4.5", order.other_extension.c_str());
    EXPECT_NE(extension, nullptr);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  }
  EVP_PKEY* signer = order.signed_by != nullptr    ? order.signed_by
                     : order.issuer.key != nullptr ? order.issuer.key
                                                   : order.key;
  EXPECT_GT(X509_sign(x509, signer, order.md), 0);
  return {x509, order.key};
}

Order CaOrder(const std::string& subject, EVP_PKEY* key, Certificate issuer = {}) {
  Order order;
  order.subject = subject;
  order.key = key;
  order.issuer = issuer;
  order.constraints = "critical,CA:TRUE";
  order.usage.clear();
  order.key_usage = "critical,keyCertSign,cRLSign";
  return order;
}

Certificate Root() {
  static const Certificate root = Issue(CaOrder("Root", test::KeyOf(Key::kP384)));
  return root;
}

Certificate Intermediate() {
  static const Certificate intermediate = Issue(CaOrder("Issuer", test::KeyOf(Key::kRsa3072), Root()));
  return intermediate;
}

Order AikOrder() {
  Order order;
  order.issuer = Intermediate();
  return order;
}

Bytes Der(const Certificate& certificate) {
  Bytes der(static_cast<std::size_t>(i2d_X509(certificate.x509, nullptr)));
  std::uint8_t* end = der.data();
  i2d_X509(certificate.x509, &end);
  return der;
}

std::string Pem(const Certificate& certificate) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate.x509);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  std::string json;
  for (const char c : text) json += c == '\n' ? std::string("\\n") : std::string(1, c);
  return json;
}

std::string RootsPolicy(const Certificate& root) {
  return R"({"aikRoots":[")" + Pem(root) + R"("]})";
}

std::string ChainJson(const std::vector<Bytes>& chain) {
  std::string json = "[";
  for (const Bytes& der : chain) json += (json.size() > 1 ? ",\"" : "\"") + test::Base64(der) + "\"";
  return json + "]";
}

Report VerifyWith(const std::string& chain_json, const Certificate& root = Root()) {
  Forgery forgery;
  forgery.fields["aik_cert_chain_b64"] = chain_json;
  return Verify(forgery.Json(), RootsPolicy(root));
}

std::string CodeOfAik(const Order& order) {
  const Report report = VerifyWith(ChainJson({Der(Issue(order)), Der(Intermediate())}));
  EXPECT_EQ(report.certified(), report.checks.Verified());
  return CodeOf(report);
}

TEST(AikCertificate, AChainToARootOfThePolicyCertifies) {
  const Report report = VerifyWith(ChainJson({Der(Issue(AikOrder())), Der(Intermediate())}));
  EXPECT_EQ(CodeOf(report), "ok") << report.checks.at(Check::kAikCertificate).detail;
  EXPECT_TRUE(report.certified());
  EXPECT_NE(report.checks.at(Check::kAikCertificate).detail.find("relayed"), std::string::npos);
  Order direct = AikOrder();
  direct.issuer = Root();
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({Der(Issue(direct))}))), "ok") << "no intermediate";
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({Der(Issue(AikOrder())), Der(Root()), Der(Intermediate())}))), "ok")
      << "issuers in any order";
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // whose frames are larger, or elsewhere
TEST(AikCertificate, ItsVerificationLeavesMostOfAJobsStackUnused) {
  const std::string chain = ChainJson({Der(Issue(AikOrder())), Der(Intermediate())});
  const std::string policy = RootsPolicy(Root());
  const std::size_t used = test::StackUseOf([&] {
    Forgery forgery;
    forgery.fields["aik_cert_chain_b64"] = chain;
    EXPECT_EQ(CodeOf(Verify(forgery.Json(), policy)), "ok");
  });
  std::printf("stack used: a quote with a certified AIK %zu bytes\n", used);
  EXPECT_GT(used, 1000u);
  EXPECT_LT(used, kJobStackBytes / 4);
}
#endif

TEST(AikCertificate, IsDemandedByRootsOnly) {
  Forgery none;
  EXPECT_EQ(CodeOf(Verify(none.Json(), RootsPolicy(Root()))), "AIK_CERTIFICATE");
  none.fields["aik_cert_chain_b64"] = "null";
  EXPECT_EQ(CodeOf(Verify(none.Json(), RootsPolicy(Root()))), "AIK_CERTIFICATE");
  EXPECT_EQ(CodeOf(none), "ok");
  Forgery unjudged;
  unjudged.fields["aik_cert_chain_b64"] = ChainJson({Der(Issue(AikOrder()))});
  const Report report = Verify(unjudged.Json());
  EXPECT_EQ(CodeOf(report), "ok");
  EXPECT_FALSE(report.certified());
}

TEST(AikCertificate, Path) {
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({Der(Issue(AikOrder()))}))), "AIK_CERTIFICATE") << "intermediate missing";
  const Certificate stranger = Issue(CaOrder("Root", test::KeyOf(Key::kP521)));
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({Der(Issue(AikOrder())), Der(Intermediate()), Der(Root())}), stranger)),
            "AIK_CERTIFICATE")
      << "a root that only the server names";
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({Der(Issue(AikOrder())), Der(Intermediate())}), Intermediate())),
            "AIK_CERTIFICATE")
      << "an intermediate is no root, whatever the policy calls it";
  Order self_signed;
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({Der(Issue(self_signed))}))), "AIK_CERTIFICATE");
  Order forged = AikOrder();
  forged.signed_by = test::KeyOf(Key::kRsa2048Other);
  EXPECT_EQ(CodeOfAik(forged), "AIK_CERTIFICATE") << "signed by another than its issuer";
  Order under_leaf = AikOrder();
  Order leaf_issuer = AikOrder();
  leaf_issuer.key = test::KeyOf(Key::kP256);
  under_leaf.issuer = Issue(leaf_issuer);
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({Der(Issue(under_leaf)), Der(under_leaf.issuer), Der(Intermediate())}))),
            "AIK_CERTIFICATE")
      << "issued by what is no CA";
}

TEST(AikCertificate, Validity) {
  Order expired = AikOrder(), early = AikOrder();
  expired.from_days = -10;
  expired.to_days = -1;
  early.from_days = 1;
  early.to_days = 10;
  EXPECT_EQ(CodeOfAik(expired), "AIK_CERTIFICATE");
  EXPECT_EQ(CodeOfAik(early), "AIK_CERTIFICATE");
  Order ca = CaOrder("Old issuer", test::KeyOf(Key::kRsa3072), Root());
  ca.to_days = -1;
  ca.from_days = -10;
  Order under_expired;
  under_expired.issuer = Issue(ca);
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({Der(Issue(under_expired)), Der(under_expired.issuer)}))), "AIK_CERTIFICATE");
}

TEST(AikCertificate, UsageAndConstraints) {
  const auto code = [](auto change) {
    Order order = AikOrder();
    change(order);
    return CodeOfAik(order);
  };
  EXPECT_EQ(code([](Order& o) { o.constraints = "critical,CA:TRUE"; }), "AIK_CERTIFICATE");
  EXPECT_EQ(code([](Order& o) { o.constraints.clear(); }), "AIK_CERTIFICATE") << "does not say CA:FALSE";
  EXPECT_EQ(code([](Order& o) { o.usage.clear(); }), "AIK_CERTIFICATE");
  EXPECT_EQ(code([](Order& o) { o.usage = kEkUsage; }), "AIK_CERTIFICATE") << "an endorsement key's usage";
  EXPECT_EQ(code([](Order& o) { o.usage = "anyExtendedKeyUsage"; }), "AIK_CERTIFICATE");
  EXPECT_EQ(code([](Order& o) { o.usage = "clientAuth,2.23.133.8.3"; }), "ok") << "beside another";
  EXPECT_EQ(code([](Order& o) { o.key_usage = "critical,keyEncipherment"; }), "AIK_CERTIFICATE");
  EXPECT_EQ(code([](Order& o) { o.key_usage.clear(); }), "ok") << "every usage";
  EXPECT_EQ(code([](Order& o) { o.md = EVP_sha1(); }), "AIK_CERTIFICATE");
  EXPECT_EQ(code([](Order& o) { o.other_extension = "critical,DER:0500"; }), "AIK_CERTIFICATE") << "not understood";
}

TEST(AikCertificate, IsForThisVeryKey) {
  Order order = AikOrder();
  order.key = test::KeyOf(Key::kRsa2048Other);
  EXPECT_EQ(CodeOfAik(order), "AIK_CERTIFICATE");
  order.key = test::KeyOf(Key::kP256);
  EXPECT_EQ(CodeOfAik(order), "AIK_CERTIFICATE");
  Forgery ecc(Key::kP256);
  ecc.fields["aik_cert_chain_b64"] = ChainJson({Der(Issue(order)), Der(Intermediate())});
  EXPECT_EQ(CodeOf(Verify(ecc.Json(), RootsPolicy(Root()))), "ok");
}

TEST(AikCertificate, FormOfTheField) {
  const Bytes good = Der(Issue(AikOrder()));
  Bytes trailing = good;
  trailing.push_back(0);
  const std::string text = "\"" + test::Base64(good) + "\"";
  std::string nine = "[" + text;
  for (int i = 0; i < 8; ++i) nine += "," + text;
  for (const std::string& json :
       {std::string("[]"), std::string("{}"), std::string("7"), text, std::string("[7]"), std::string("[\"\"]"),
        std::string("[null]"), "[" + text + ",\"AA\"]", "[\"" + test::Base64(Bytes(4097, 1)) + "\"]", nine + "]"}) {
    EXPECT_EQ(CodeOf(VerifyWith(json)), "AIK_CERTIFICATE") << json.substr(0, 60);
    // Whatever it is, it is not passed over in silence.
    Forgery forgery;
    forgery.fields["aik_cert_chain_b64"] = json;
    EXPECT_EQ(CodeOf(forgery), "AIK_CERTIFICATE") << json.substr(0, 60);
  }
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({trailing, Der(Intermediate())}))), "AIK_CERTIFICATE");
  EXPECT_EQ(CodeOf(VerifyWith(ChainJson({Bytes(20, 0x30), Der(Intermediate())}))), "AIK_CERTIFICATE");
}

TEST(AikCertificate, OfABlockThatFailsElsewhereCertifiesNothing) {
  Forgery forgery;
  forgery.nonce[3] ^= 1;
  forgery.fields["aik_cert_chain_b64"] = ChainJson({Der(Issue(AikOrder())), Der(Intermediate())});
  const Report report = Verify(forgery.Json(), RootsPolicy(Root()));
  EXPECT_EQ(CodeOf(report), "NONCE_MISMATCH");
  EXPECT_EQ(report.checks.at(Check::kAikCertificate).outcome, Outcome::kPassed);
  EXPECT_FALSE(report.certified());
}

}  // namespace
}  // namespace nomyo
