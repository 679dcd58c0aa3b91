#include "kernels/ops/sampling/sampling.h"

namespace weft {

// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; constants of Random123.
PhiloxWords philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  uint32_t c[4] = {static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
                   static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xd2511f53} * c[0], b = uint64_t{0xcd9e8d57} * c[2];
    const uint32_t next0 = static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0;
    const uint32_t next2 = static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1;
    c[0] = next0;
    c[1] = static_cast<uint32_t>(b);
    c[2] = next2;
    c[3] = static_cast<uint32_t>(a);
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

}  // namespace weft
