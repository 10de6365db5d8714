// TPM structures as they come: the three readers, without a block around them. What is read walks as what it is, and is
// read alike from a copy.
#include <cstdint>
#include <cstdlib>

#include "core/tpm/structure_walk.h"
#include "core/tpm/structures.h"
#include "core/tpm/tss_mu.h"

namespace {

void Demand(bool holds) {
  if (!holds) std::abort();
}

const nomyo::TssMu& Mu() {
  auto mu = nomyo::TssMu::Load();
  Demand(static_cast<bool>(mu));
  return **mu;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const nomyo::ByteView bytes(data + 1, size - 1);
  switch (data[0]) {
    case 'q':
      if (auto quote = nomyo::ReadQuote(Mu(), bytes); quote && quote->is_quote()) {
        Demand(quote->bytes.size() + 2 >= bytes.size());
        if (quote->has_magic()) Demand(nomyo::WalksAsQuote(quote->bytes));
      }
      break;
    case 's':
      if (nomyo::ReadSignature(Mu(), bytes)) Demand(nomyo::WalksAsSignature(bytes));
      break;
    case 'p':
      if (auto area = nomyo::ReadPublicArea(Mu(), bytes)) {
        Demand(area->bytes.size() + 2 == bytes.size() && nomyo::WalksAsPublic(area->bytes));
      }
      break;
    default: break;
  }
  return 0;
}
