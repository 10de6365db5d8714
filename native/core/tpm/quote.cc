#include "core/tpm/quote.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "core/tpm/tss_mu.h"

namespace nomyo {
namespace {

constexpr int kPcrCount = 24;
// Each attempt is one quote. IMA measures in bursts (a program starts, its libraries follow), so a few are enough.
constexpr int kQuoteAttempts = 8;

struct Bank {
  const char* name;
  TPM2_ALG_ID hash;
};
constexpr Bank kBanks[] = {
    {"sha1", TPM2_ALG_SHA1}, {"sha256", TPM2_ALG_SHA256}, {"sha384", TPM2_ALG_SHA384}, {"sha512", TPM2_ALG_SHA512}};

const Bank* BankOf(TPM2_ALG_ID hash) {
  const auto* found = std::ranges::find(kBanks, hash, &Bank::hash);
  return found == std::end(kBanks) ? nullptr : found;
}

bool Selected(const TPMS_PCR_SELECTION& bank, int index) {
  return index / 8 < bank.sizeofSelect && (bank.pcrSelect[index / 8] >> (index % 8) & 1) != 0;
}

Error Refused(std::string_view text, const char* why) {
  return {Code::kInvalidArgument, "The PCR selection \"" + std::string(text.substr(0, 100)) + "\" " + why +
                                      " Write it as sha256:0,7,10 and join banks with a plus sign."};
}

Status ParseBank(std::string_view whole, std::string_view text, TPML_PCR_SELECTION& selection) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return Refused(whole, "has a bank without PCRs.");
  const auto* bank = std::ranges::find(kBanks, text.substr(0, colon), &Bank::name);
  if (bank == std::end(kBanks)) return Refused(whole, "names a bank that is none of sha1, sha256, sha384 and sha512.");
  for (UINT32 i = 0; i < selection.count; ++i) {
    if (selection.pcrSelections[i].hash == bank->hash) return Refused(whole, "names a bank twice.");
  }
  TPMS_PCR_SELECTION& entry = selection.pcrSelections[selection.count++];
  entry.hash = bank->hash;
  entry.sizeofSelect = 3;
  std::string_view rest = text.substr(colon + 1);
  for (;;) {
    const std::string_view digits = rest.substr(0, rest.find(','));
    int index = -1;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (failure != std::errc() || end != digits.data() + digits.size() || index < 0 || index >= kPcrCount ||
        (digits.size() > 1 && digits[0] == '0') || digits[0] == '-') {
      return Refused(whole, "has an index that is not a plain number from 0 to 23.");
    }
    auto& byte = entry.pcrSelect[index / 8];
    const auto bit = static_cast<BYTE>(1 << (index % 8));
    if ((byte & bit) != 0) return Refused(whole, "names a PCR twice.");
    byte = static_cast<BYTE>(byte | bit);
    if (digits.size() == rest.size()) return Status::Ok();
    rest.remove_prefix(digits.size() + 1);
  }
}

// The same set of PCRs, bank by bank; a TPM may write more bytes of selection than it was sent.
bool SameSelection(const TPML_PCR_SELECTION& a, const TPML_PCR_SELECTION& b) {
  if (a.count != b.count || a.count > std::size(a.pcrSelections)) return false;
  for (UINT32 i = 0; i < a.count; ++i) {
    if (a.pcrSelections[i].hash != b.pcrSelections[i].hash) return false;
    for (int index = 0; index < 8 * static_cast<int>(sizeof a.pcrSelections[i].pcrSelect); ++index) {
      if (Selected(a.pcrSelections[i], index) != Selected(b.pcrSelections[i], index)) return false;
    }
  }
  return true;
}

const EVP_MD* Digest(TPM2_ALG_ID hash) {
  switch (hash) {
    case TPM2_ALG_SHA256: return EVP_sha256();
    case TPM2_ALG_SHA384: return EVP_sha384();
    case TPM2_ALG_SHA512: return EVP_sha512();
    default: return nullptr;
  }
}

TPM2_ALG_ID SignatureHash(const TPMT_SIGNATURE& signature) {
  switch (signature.sigAlg) {
    case TPM2_ALG_RSASSA: return signature.signature.rsassa.hash;
    case TPM2_ALG_RSAPSS: return signature.signature.rsapss.hash;
    case TPM2_ALG_ECDSA: return signature.signature.ecdsa.hash;
    default: return TPM2_ALG_NULL;
  }
}

// The template of an AIK. The random bytes in `unique` are what makes the key a fresh one: a TPM derives a primary key
// from its seed and the template alone (TPM 2.0 Part 1, 27.6.3 "Primary objects").
// noDA: a use of an object without it counts as an attempt to guess an authorization when the TPM then loses its power
// (Part 1, 19.8.6 "Non-orderly shutdown"), and enough of those lock out every object under that protection, disk keys
// included. The empty authorization of a key that lives for one command needs no protection.
Result<TPM2B_PUBLIC> AikTemplate(AikAlgorithm algorithm) {
  TPM2B_PUBLIC result{};
  TPMT_PUBLIC& area = result.publicArea;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                          TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
                          TPMA_OBJECT_SIGN_ENCRYPT;
  BYTE random[64];
  if (RAND_bytes(random, sizeof random) != 1) {
    return Error{Code::kCrypto, "No random bytes could be had for the template of the AIK."};
  }
  if (algorithm == AikAlgorithm::kEccP256) {
    area.type = TPM2_ALG_ECC;
    auto& ecc = area.parameters.eccDetail;
    ecc.symmetric.algorithm = TPM2_ALG_NULL;
    ecc.scheme.scheme = TPM2_ALG_ECDSA;
    ecc.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
    ecc.curveID = TPM2_ECC_NIST_P256;
    ecc.kdf.scheme = TPM2_ALG_NULL;
    area.unique.ecc.x.size = area.unique.ecc.y.size = 32;
    std::memcpy(area.unique.ecc.x.buffer, random, 32);
    std::memcpy(area.unique.ecc.y.buffer, random + 32, 32);
  } else {
    area.type = TPM2_ALG_RSA;
    auto& rsa = area.parameters.rsaDetail;
    rsa.symmetric.algorithm = TPM2_ALG_NULL;
    rsa.scheme.scheme = algorithm == AikAlgorithm::kRsa2048Rsassa ? TPM2_ALG_RSASSA : TPM2_ALG_RSAPSS;
    rsa.scheme.details.anySig.hashAlg = TPM2_ALG_SHA256;
    rsa.keyBits = 2048;
    area.unique.rsa.size = sizeof random;
    std::memcpy(area.unique.rsa.buffer, random, sizeof random);
  }
  return result;
}

class QuoteMaker {
 public:
  QuoteMaker(TpmConnection& connection, const TssMu& mu)
      : connection_(connection), tss_(connection.tss()), mu_(mu), aik_(connection) {}

  Status CreateAik(AikAlgorithm algorithm) {
    const auto made = AikTemplate(algorithm);
    if (!made) return made.error();
    const TPM2B_SENSITIVE_CREATE no_auth{};
    const TPM2B_DATA no_info{};
    const TPML_PCR_SELECTION no_pcrs{};
    TPM2B_PUBLIC* area = nullptr;
    const TSS2_RC rc = connection_.Check(tss_.Esys_CreatePrimary(
        connection_.esys(), ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &made.value(),
        &no_info, &no_pcrs, aik_.out(), &area, nullptr, nullptr, nullptr));
    if (rc != TSS2_RC_SUCCESS) return connection_.Fail("The TPM could not make an attestation key", rc);
    return Keep(area);
  }

  Status UsePersistentAik(std::uint32_t handle) {
    aik_.KeepInTpm();
    TSS2_RC rc = connection_.Check(
        tss_.Esys_TR_FromTPMPublic(connection_.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, aik_.out()));
    if (rc != TSS2_RC_SUCCESS) return connection_.Fail("The persistent AIK could not be used", rc);
    TPM2B_PUBLIC* area = nullptr;
    rc = connection_.Check(tss_.Esys_ReadPublic(connection_.esys(), aik_.handle(), ESYS_TR_NONE, ESYS_TR_NONE,
                                                ESYS_TR_NONE, &area, nullptr, nullptr));
    if (rc != TSS2_RC_SUCCESS) return connection_.Fail("The persistent AIK could not be read", rc);
    const auto owned = connection_.Own(area);
    constexpr TPMA_OBJECT kWanted = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;
    if ((area->publicArea.objectAttributes & (kWanted | TPMA_OBJECT_DECRYPT)) != kWanted) {
      return Error{Code::kTpm,
                   "The persistent key is not a restricted signing key, so nobody would believe its quotes."};
    }
    return Keep(*area);
  }

  // One quote, and the PCRs after it. kTpm, or whether the two agree.
  Result<bool> Attempt(std::span<const std::uint8_t> qualifying_data, const TPML_PCR_SELECTION& selection) {
    TPM2B_DATA data{};
    data.size = static_cast<UINT16>(qualifying_data.size());
    std::ranges::copy(qualifying_data, data.buffer);
    const TPMT_SIG_SCHEME of_the_key{TPM2_ALG_NULL, {}};
    TPM2B_ATTEST* attest = nullptr;
    TPMT_SIGNATURE* signature = nullptr;
    const TSS2_RC rc =
        connection_.Check(tss_.Esys_Quote(connection_.esys(), aik_.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                          ESYS_TR_NONE, &data, &of_the_key, &selection, &attest, &signature));
    if (rc != TSS2_RC_SUCCESS) return connection_.Fail("The TPM could not make a quote", rc);
    const auto owned_attest = connection_.Own(attest);
    const auto owned_signature = connection_.Own(signature);

    quote_.attest.assign(attest->attestationData, attest->attestationData + attest->size);
    std::size_t offset = 0;
    quote_.signature.resize(sizeof(TPMT_SIGNATURE));
    if (mu_.signature_marshal(signature, quote_.signature.data(), quote_.signature.size(), &offset) !=
        TSS2_RC_SUCCESS) {
      return Error{Code::kTpm, "The TPM's signature could not be written."};
    }
    quote_.signature.resize(offset);

    TPMS_ATTEST parsed{};
    offset = 0;
    if (mu_.attest_unmarshal(quote_.attest.data(), quote_.attest.size(), &offset, &parsed) != TSS2_RC_SUCCESS ||
        parsed.magic != TPM2_GENERATED_VALUE || parsed.type != TPM2_ST_ATTEST_QUOTE) {
      return Error{Code::kTpm, "The TPM answered with something that is not a quote."};
    }
    const TPMS_QUOTE_INFO& info = parsed.attested.quote;
    if (!SameSelection(info.pcrSelect, selection)) {
      return Error{Code::kTpm, "The TPM does not have all PCRs of " + FormatPcrSelection(selection) + "; it quoted \"" +
                                   FormatPcrSelection(info.pcrSelect) + "\"."};
    }
    if (Status s = ReadPcrs(selection); !s) return s.error();
    return Covers(info, SignatureHash(*signature));
  }

  Quote Take() { return std::move(quote_); }

 private:
  Status Keep(TPM2B_PUBLIC* area) {
    const auto owned = connection_.Own(area);
    return Keep(*area);
  }
  Status Keep(const TPM2B_PUBLIC& area) {
    // TPM2B_PUBLIC is a 16-bit size, then TPMT_PUBLIC.
    constexpr std::size_t kSize = 2;
    std::size_t offset = kSize;
    quote_.aik_public.resize(sizeof(TPM2B_PUBLIC));
    if (mu_.public_marshal(&area.publicArea, quote_.aik_public.data(), quote_.aik_public.size(), &offset) !=
        TSS2_RC_SUCCESS) {
      return Error{Code::kTpm, "The public part of the AIK could not be written."};
    }
    quote_.aik_public.resize(offset);
    quote_.aik_public[0] = static_cast<std::uint8_t>((offset - kSize) >> 8);
    quote_.aik_public[1] = static_cast<std::uint8_t>(offset - kSize);
    return Status::Ok();
  }

  // A TPM gives at most eight values for one command, in an order of its own; what it gave it says in its answer.
  Status ReadPcrs(const TPML_PCR_SELECTION& selection) {
    quote_.pcrs.clear();
    for (UINT32 i = 0; i < selection.count; ++i) {
      const Bank* bank = BankOf(selection.pcrSelections[i].hash);
      TPML_PCR_SELECTION left{1, {selection.pcrSelections[i]}};
      const auto any_left = [&left] {
        return std::ranges::any_of(left.pcrSelections[0].pcrSelect, [](BYTE byte) { return byte != 0; });
      };
      while (any_left()) {
        TPML_PCR_SELECTION* given = nullptr;
        TPML_DIGEST* values = nullptr;
        UINT32 counter = 0;
        const TSS2_RC rc = connection_.Check(tss_.Esys_PCR_Read(connection_.esys(), ESYS_TR_NONE, ESYS_TR_NONE,
                                                                ESYS_TR_NONE, &left, &counter, &given, &values));
        if (rc != TSS2_RC_SUCCESS) return connection_.Fail("The PCRs could not be read", rc);
        const auto owned_given = connection_.Own(given);
        const auto owned_values = connection_.Own(values);
        UINT32 next = 0;
        for (int index = 0; index < kPcrCount && given->count == 1; ++index) {
          if (!Selected(given->pcrSelections[0], index)) continue;
          if (!Selected(left.pcrSelections[0], index) || next >= values->count) break;
          const TPM2B_DIGEST& value = values->digests[next++];
          quote_.pcrs.push_back({bank->name, index, {value.buffer, value.buffer + value.size}});
          auto& byte = left.pcrSelections[0].pcrSelect[index / 8];
          byte = static_cast<BYTE>(byte & ~(1 << (index % 8)));
        }
        if (next == 0)
          return Error{Code::kTpm, std::string("The TPM does not give the PCRs of its bank ") + bank->name + "."};
      }
    }
    // The banks stand in the order of the selection, each in one piece.
    for (auto first = quote_.pcrs.begin(); first != quote_.pcrs.end();) {
      const auto last =
          std::find_if(first, quote_.pcrs.end(), [&](const QuotedPcr& pcr) { return pcr.bank != first->bank; });
      std::sort(first, last, [](const QuotedPcr& a, const QuotedPcr& b) { return a.index < b.index; });
      first = last;
    }
    return Status::Ok();
  }

  // pcrDigest is over the values in the order of the selection, with the hash of the signature (Part 3, 18.4).
  Result<bool> Covers(const TPMS_QUOTE_INFO& info, TPM2_ALG_ID hash) const {
    const EVP_MD* md = Digest(hash);
    if (md == nullptr)
      return Error{Code::kTpm, "The AIK signs with a hash that is none of SHA-256, SHA-384 and SHA-512."};
    std::vector<std::uint8_t> all;
    for (const QuotedPcr& pcr : quote_.pcrs) all.insert(all.end(), pcr.value.begin(), pcr.value.end());
    std::uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(all.data(), all.size(), digest, &size, md, nullptr) != 1) {
      return Error{Code::kCrypto, "The digest of the PCRs could not be computed."};
    }
    return size == info.pcrDigest.size && std::memcmp(digest, info.pcrDigest.buffer, size) == 0;
  }

  TpmConnection& connection_;
  const TssEsys& tss_;
  const TssMu& mu_;
  TransientObject aik_;
  Quote quote_;
};

}  // namespace

Status ParsePcrSelection(std::string_view text, TPML_PCR_SELECTION& selection) {
  selection = {};
  std::string_view rest = text;
  for (;;) {
    const std::string_view bank = rest.substr(0, rest.find('+'));
    if (Status s = ParseBank(text, bank, selection); !s) return s;
    if (bank.size() == rest.size()) return Status::Ok();
    rest.remove_prefix(bank.size() + 1);
  }
}

std::string FormatPcrSelection(const TPML_PCR_SELECTION& selection) {
  std::string text;
  for (UINT32 i = 0; i < std::min<UINT32>(selection.count, TPM2_NUM_PCR_BANKS); ++i) {
    const Bank* bank = BankOf(selection.pcrSelections[i].hash);
    if (i > 0) text += '+';
    text += bank != nullptr ? bank->name : "unknown";
    char separator = ':';
    for (int index = 0; index < 8 * selection.pcrSelections[i].sizeofSelect; ++index) {
      if (!Selected(selection.pcrSelections[i], index)) continue;
      text += separator + std::to_string(index);
      separator = ',';
    }
  }
  return text;
}

Result<Quote> MakeQuote(TpmConnection& connection, std::span<const std::uint8_t> qualifying_data,
                        const QuoteRequest& request) {
  TPML_PCR_SELECTION selection;
  if (Status s = ParsePcrSelection(request.pcrs, selection); !s) return s.error();
  if (qualifying_data.size() > sizeof(TPM2B_DATA::buffer)) {
    return Error{Code::kInvalidArgument, "Qualifying data has at most 64 bytes."};
  }
  if (request.persistent_handle.has_value() && (*request.persistent_handle & 0xff000000) != TPM2_PERSISTENT_FIRST) {
    return Error{Code::kInvalidArgument, "A persistent handle is between 0x81000000 and 0x81ffffff."};
  }
  const auto mu = TssMu::Load();
  if (!mu) return mu.error();
  QuoteMaker maker(connection, *mu.value());
  Status ready = request.persistent_handle.has_value() ? maker.UsePersistentAik(*request.persistent_handle)
                                                       : maker.CreateAik(request.aik);
  if (!ready) return ready.error();
  for (int attempt = 0; attempt < kQuoteAttempts; ++attempt) {
    const auto agrees = maker.Attempt(qualifying_data, selection);
    if (!agrees) return agrees.error();
    if (agrees.value()) {
      Quote quote = maker.Take();
      quote.pcr_banks = FormatPcrSelection(selection);
      return quote;
    }
  }
  return Error{Code::kTpm, "The PCRs changed each time between the quote and reading them; try again."};
}

}  // namespace nomyo
