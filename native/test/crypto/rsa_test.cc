// RSA keys and OAEP. The key files are those of Python's `cryptography`; the digests below are OpenSSL's and
// sha256sum's.
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "core/crypto/pem.h"
#include "core/crypto/rsa_key.h"
#include "core/crypto/rsa_oaep.h"
#include "core/crypto/sha256.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

std::string ReadKey(const std::string& name) {
  std::ifstream file(std::string(NOMYO_VECTORS_DIR) + "/keys/" + name, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_FALSE(text.empty()) << name;
  return text;
}

std::string Text(const SecureBuffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
}

Result<RsaPrivateKey> Import(std::string_view pem, std::optional<std::string_view> password = std::nullopt) {
  if (!password) return RsaPrivateKey::Import(BytesOf(pem), std::nullopt);
  return RsaPrivateKey::Import(BytesOf(pem), BytesOf(*password));
}

// openssl pkey -in client_private.pem -pubout -outform DER | sha256sum
constexpr char kClientFingerprint[] = "fabf1c2defdd34db179d134c743e7be5d0e22378eeba13767586c7786973bca8";

TEST(Sha256, GivesTheExampleOfFips180) {
  auto digest = Sha256(BytesOf("abc"));
  ASSERT_TRUE(digest);
  EXPECT_EQ((*digest)[0], 0xba);
  EXPECT_EQ((*digest)[1], 0x78);
  EXPECT_EQ((*digest)[31], 0xad);
}

TEST(RsaPrivateKey, ReadsPkcs8Pkcs1AndEncryptedPkcs8AsTheSameKey) {
  const auto fingerprint = [](Result<RsaPrivateKey> key) -> std::string {
    if (!key) return std::string(CodeName(key.error().code)) + " " + key.error().message;
    auto public_key = key->PublicKey();
    return public_key ? public_key->spki_sha256() : public_key.error().message;
  };
  EXPECT_EQ(fingerprint(Import(ReadKey("client_private.pem"))), kClientFingerprint);
  EXPECT_EQ(fingerprint(Import(ReadKey("client_private_pkcs1.pem"))), kClientFingerprint);
  EXPECT_EQ(fingerprint(Import(ReadKey("client_private_encrypted.pem"), "correct horse battery staple")),
            kClientFingerprint);
  auto exported = Import(ReadKey("client_private.pem"))->Export(BytesOf("a good password"));
  ASSERT_TRUE(exported);
  EXPECT_TRUE(Text(*exported).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
  EXPECT_EQ(fingerprint(Import(Text(*exported), "a good password")), kClientFingerprint);
}

TEST(RsaPrivateKey, WritesPkcs8AsPythonDoes) {
  const std::string pem = ReadKey("client_private.pem");
  auto exported = Import(pem)->Export(std::nullopt);
  ASSERT_TRUE(exported);
  EXPECT_EQ(Text(*exported), pem);
}

TEST(RsaPrivateKey, RefusesWhatIsNotAnAcceptableKey) {
  const std::string good = ReadKey("client_private.pem");
  const auto code = [](std::string_view pem, std::optional<std::string_view> password = std::nullopt) {
    auto key = Import(pem, password);
    return key ? std::string_view("accepted") : CodeName(key.error().code);
  };
  EXPECT_EQ(code(ReadKey("rsa1024_private.pem")), "KEY_WEAK");
  EXPECT_EQ(code(ReadKey("ec_private.pem")), "KEY_WEAK");
  EXPECT_EQ(code(ReadKey("client_public.pem")), "KEY_FORMAT");
  EXPECT_EQ(code(ReadKey("client_private_encrypted.pem")), "KEY_PASSWORD");
  EXPECT_EQ(code(ReadKey("client_private_encrypted.pem"), "wrong password"), "KEY_PASSWORD");
  EXPECT_EQ(code(good, "unneeded password"), "KEY_PASSWORD");
  EXPECT_EQ(code(""), "KEY_FORMAT");
  EXPECT_EQ(code("not PEM"), "KEY_FORMAT");
  EXPECT_EQ(code("junk\n" + good), "KEY_FORMAT");
  EXPECT_EQ(code(good + "junk"), "KEY_FORMAT");
  EXPECT_EQ(code(good + good), "KEY_FORMAT");
  EXPECT_EQ(code(good.substr(0, good.size() / 2)), "KEY_FORMAT");
  std::string mislabelled = good;
  mislabelled.replace(mislabelled.find("END PRIVATE"), 11, "END SECRETS");
  EXPECT_EQ(code(mislabelled), "KEY_FORMAT");
}

TEST(RsaPrivateKey, RefusesNumbersThatDoNotBelongTogether) {
  // A changed digit of the base64 changes a number, or breaks the DER: no such key may be used.
  const std::string good = ReadKey("client_private.pem");
  const std::size_t body = good.find('\n') + 1;
  std::size_t tried = 0;
  for (std::size_t at = body + 100; at < good.size() - 40; at += 97) {
    if (good[at] == '\n' || good[at] == '=') continue;
    std::string changed = good;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(Import(changed)) << at;
    ++tried;
  }
  EXPECT_GT(tried, 25u);
}

TEST(RsaPrivateKey, WorksOnAPasswordOnlySoLong) {
  const auto code = [](X509_ALGOR* made) {
    const std::unique_ptr<X509_ALGOR, decltype(&X509_ALGOR_free)> scheme(made, X509_ALGOR_free);
    const X509Sig encrypted(X509_SIG_new());
    X509_ALGOR* algorithm = nullptr;
    ASN1_OCTET_STRING* data = nullptr;
    X509_SIG_getm(encrypted.get(), &algorithm, &data);
    EXPECT_EQ(X509_ALGOR_copy(algorithm, scheme.get()), 1);
    const std::vector<unsigned char> nothing(32);
    EXPECT_EQ(ASN1_OCTET_STRING_set(data, nothing.data(), static_cast<int>(nothing.size())), 1);
    unsigned char* der = nullptr;
    const int length = i2d_X509_SIG(encrypted.get(), &der);
    auto pem = WritePem("ENCRYPTED PRIVATE KEY", {der, static_cast<std::size_t>(length)});
    OPENSSL_free(der);
    auto key = Import(Text(*pem), "a good password");
    return key ? std::string_view("accepted") : CodeName(key.error().code);
  };
  constexpr int kTooMany = 100'000'001;
  EXPECT_EQ(code(PKCS5_pbe2_set(EVP_aes_256_cbc(), 1'000, nullptr, 16)), "KEY_PASSWORD");
  EXPECT_EQ(code(PKCS5_pbe2_set(EVP_aes_256_cbc(), kTooMany, nullptr, 16)), "KEY_FORMAT");
  EXPECT_EQ(code(PKCS5_pbe_set(NID_pbe_WithSHA1And3_Key_TripleDES_CBC, 1'000, nullptr, 16)), "KEY_PASSWORD");
  EXPECT_EQ(code(PKCS5_pbe_set(NID_pbe_WithSHA1And3_Key_TripleDES_CBC, kTooMany, nullptr, 16)), "KEY_FORMAT");
}

TEST(RsaPrivateKey, SaysThatNomyoJsKeysAreNotPkcs8) {
  // nomyo-js: salt, nonce and AES-GCM ciphertext in base64, under the label of encrypted PKCS#8.
  std::string body;
  for (int i = 0; i < 30; ++i) body += "mZ8xq0uVYr3tJkLbS5cPZw7eHnXfG2aQdIoRjT1yKvB4sUiN6hEgCpAlWzDMOFY9\n";
  auto key = Import("-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + body + "-----END ENCRYPTED PRIVATE KEY-----\n",
                    "a good password");
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, Code::kKeyFormat);
  EXPECT_NE(key.error().message.find("nomyo-js"), std::string::npos);
}

TEST(RsaPrivateKey, RefusesToWriteUnderAShortPassword) {
  auto exported = Import(ReadKey("client_private.pem"))->Export(BytesOf("1234567"));
  ASSERT_FALSE(exported);
  EXPECT_EQ(exported.error().code, Code::kKeyPassword);
}

TEST(RsaPrivateKey, GeneratesKeysOfTheAskedSizeOnly) {
  auto key = RsaPrivateKey::Generate(2048);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->bits(), 2048);
  auto exported = key->Export(std::nullopt);
  ASSERT_TRUE(exported);
  EXPECT_TRUE(Import(Text(*exported)));
  for (const int bits : {0, -1, 512, 1024, 2047, 8192}) {
    auto refused = RsaPrivateKey::Generate(bits);
    ASSERT_FALSE(refused) << bits;
    EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  }
}

TEST(RsaPrivateKey, StopsBeingGeneratedWhenItIsCancelled) {
  Cancellation cancellation;
  cancellation.Cancel();
  auto key = RsaPrivateKey::Generate(4096, &cancellation);
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, Code::kCancelled);
}

TEST(RsaPublicKey, IsReadStrictly) {
  const std::string good = ReadKey("client_public.pem");
  auto key = RsaPublicKey::Import(good, 4096);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->bits(), 4096);
  EXPECT_EQ(key->pem(), good);
  EXPECT_EQ(key->spki_sha256(), kClientFingerprint);
  const auto code = [](std::string_view pem, int bits = 2048) {
    auto imported = RsaPublicKey::Import(pem, bits);
    return imported ? std::string_view("accepted") : CodeName(imported.error().code);
  };
  EXPECT_EQ(code(good, 8192), "KEY_WEAK");
  EXPECT_EQ(code(ReadKey("client_private.pem")), "KEY_FORMAT");
  EXPECT_EQ(code(good + good), "KEY_FORMAT");
  EXPECT_EQ(code(" " + good + "\n\n"), "accepted");
  // openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3 | openssl pkey -pubout
  EXPECT_EQ(code("-----BEGIN PUBLIC KEY-----\n"
                 "MIIBIDANBgkqhkiG9w0BAQEFAAOCAQ0AMIIBCAKCAQEAtudcT3yet0cwaCXYkhiN\n"
                 "eqyaS+G4T2ikG5BnlTjyTzUImdFvTvBizGe/Zlldfe8GHY3+4FFVYS6su8x1RYtH\n"
                 "SkL0Jnrqdog1/2qjX4Vd8b4LMrU/l1gEMB/EygG/HYUml3tIdVvrdP02UpPIYlDb\n"
                 "cRdC9fx+FvsOpw+9flSojXZBS3Zu0TYShBTe2rZEeDiz6pDoDO+uMhZjbttsg2pE\n"
                 "JQhPg23oFaqrrKmI0ED5TRtB7jK8h7bntTj2KD1U7khAyC/Bqfz9sJkxDlzbV6Bf\n"
                 "vCyRYP54rfLZtzbLyjcdGZpmaf1FytR2QCft4AEm+WcZzez24d/9NIOTAkqliK5g\n"
                 "mQIBAw==\n"
                 "-----END PUBLIC KEY-----\n"),
            "KEY_WEAK");
}

TEST(RsaPublicKey, OfAStrangerCostsNoMoreThanItMay) {
  const std::string good = ReadKey("client_public.pem");
  const auto code = [](std::string_view pem, int most_bits) {
    auto imported = RsaPublicKey::Import(pem, 2048, most_bits);
    return imported ? std::string_view("accepted") : CodeName(imported.error().code);
  };
  EXPECT_EQ(code(good, 4096), "accepted");
  EXPECT_EQ(code(good, 4095), "KEY_WEAK");
  EXPECT_EQ(code(good, 0), "KEY_WEAK");
  EXPECT_EQ(code(good + std::string(4096, '\n'), 4096), "KEY_FORMAT");
  const auto pem_of = [](int bits, std::uint64_t exponent) {
    const std::vector<unsigned char> modulus(static_cast<std::size_t>(bits) / 8, 0xff);
    const BigNum n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
    const BigNum e(BN_new());
    BN_set_word(e.get(), exponent);
    const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> numbers(OSSL_PARAM_BLD_new(),
                                                                                  OSSL_PARAM_BLD_free);
    OSSL_PARAM_BLD_push_BN(numbers.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
    OSSL_PARAM_BLD_push_BN(numbers.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
    const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> parameters(OSSL_PARAM_BLD_to_param(numbers.get()),
                                                                             OSSL_PARAM_free);
    const EvpPkeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* key = nullptr;
    EVP_PKEY_fromdata_init(context.get());
    EXPECT_EQ(EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()), 1);
    const EvpPkey owned(key);
    unsigned char* der = nullptr;
    const int length = i2d_PUBKEY(key, &der);
    auto pem = WritePem("PUBLIC KEY", {der, static_cast<std::size_t>(length)});
    OPENSSL_free(der);
    return std::string(Text(*pem));
  };
  EXPECT_EQ(code(pem_of(8192, 65537), kRsaMostPublicBits), "accepted");
  EXPECT_EQ(code(pem_of(8192, 0xffffffff), kRsaMostPublicBits), "accepted");
  EXPECT_EQ(code(pem_of(8192, 0x100000001), kRsaMostPublicBits), "KEY_WEAK");
  EXPECT_EQ(code(pem_of(8200, 65537), kRsaMostPublicBits), "KEY_WEAK");
  // No caller can raise what holds for everyone.
  EXPECT_EQ(code(pem_of(16384, 65537), 16384), "KEY_WEAK");
}

TEST(RsaOaep, WrapsAndUnwraps) {
  auto key = Import(ReadKey("client_private.pem"));
  auto public_key = key->PublicKey();
  auto encryptor = OaepEncryptor::For(*public_key);
  ASSERT_TRUE(encryptor);
  std::string first(public_key->size(), '\0');
  std::string second = first;
  const auto out = [](std::string& text) {
    return std::span<std::uint8_t>(reinterpret_cast<std::uint8_t*>(text.data()), text.size());
  };
  ASSERT_TRUE(encryptor->Encrypt(BytesOf("0123456789abcdef0123456789abcdef"), out(first)));
  ASSERT_TRUE(encryptor->Encrypt(BytesOf("0123456789abcdef0123456789abcdef"), out(second)));
  EXPECT_NE(first, second) << "OAEP is randomised";
  for (const std::string& wrapped : {first, second}) {
    auto message = OaepDecrypt(*key, BytesOf(wrapped));
    ASSERT_TRUE(message);
    EXPECT_EQ(Text(*message), "0123456789abcdef0123456789abcdef");
  }
  first[100] = static_cast<char>(first[100] ^ 1);
  for (const std::string& broken : {first, second.substr(1), std::string(), std::string(512, '\0')}) {
    auto message = OaepDecrypt(*key, BytesOf(broken));
    ASSERT_FALSE(message);
    EXPECT_EQ(message.error().code, Code::kDecrypt);
  }
}

TEST(RsaOaep, LeavesWhatWasThereWhereThereIsNoMessageOfThatLength) {
  auto key = Import(ReadKey("client_private.pem"));
  auto public_key = key->PublicKey();
  auto encryptor = OaepEncryptor::For(*public_key);
  ASSERT_TRUE(encryptor);
  const std::string before = "before, with thirty-two letters.";
  const auto after = [&](std::string wrapped) {
    std::string out = before;
    EXPECT_TRUE(OaepUnwrap(*key, BytesOf(wrapped), {reinterpret_cast<std::uint8_t*>(out.data()), out.size()}));
    return out;
  };
  const auto wrap = [&](const std::string& message) {
    std::string wrapped(public_key->size(), '\0');
    EXPECT_TRUE(
        encryptor->Encrypt(BytesOf(message), {reinterpret_cast<std::uint8_t*>(wrapped.data()), wrapped.size()}));
    return wrapped;
  };
  const std::string good = wrap("0123456789abcdef0123456789abcdef");
  EXPECT_EQ(after(good), "0123456789abcdef0123456789abcdef");
  std::string changed = good;
  changed[100] = static_cast<char>(changed[100] ^ 1);
  for (const std::string& wrong :
       {changed, good.substr(1), std::string(), std::string(512, '\0'), std::string(512, '\xff'), wrap(""),
        wrap("0123456789abcdef"), wrap("0123456789abcdef0123456789abcdef+")}) {
    EXPECT_EQ(after(wrong), before);
  }
}

}  // namespace
}  // namespace nomyo
