// The AIK as text: what KeyPem writes by hand of templates is what OpenSSL's own encoder writes.
#include "core/attestation/aik.h"

#include <gtest/gtest.h>

#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>

namespace nomyo {
namespace {

std::string EncodersPem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  EXPECT_EQ(PEM_write_bio_PUBKEY(bio.get(), key), 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

TEST(AikPem, IsWhatOpenSslsEncoderWrites) {
  for (const char* curve : {"P-256", "P-384", "P-521"}) {
    const EvpPkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
    ASSERT_NE(key, nullptr) << curve;
    const Result<std::string> pem = KeyPem(key.get());
    ASSERT_TRUE(pem) << curve;
    EXPECT_EQ(pem.value(), EncodersPem(key.get())) << curve;
  }
  for (const std::size_t bits : {2048, 3072}) {
    const EvpPkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits));
    ASSERT_NE(key, nullptr) << bits;
    const Result<std::string> pem = KeyPem(key.get());
    ASSERT_TRUE(pem) << bits;
    EXPECT_EQ(pem.value(), EncodersPem(key.get())) << bits;
  }
}

}  // namespace
}  // namespace nomyo
