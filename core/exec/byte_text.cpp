#include "core/exec/byte_text.h"

#include "core/base/errors.h"

namespace pgram {

/// SplitMix64 (Steele, Lea, Flood 2014): a good mixing of a counter.
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

TokenSource byte_text_source(std::shared_ptr<const std::string> text, const std::string& name, uint32_t sequence,
                             uint32_t vocabulary) {
  if (text->size() < uint64_t{sequence} + 1) {
    throw InputError(
        name, 0, "text",
        "has " + std::to_string(text->size()) + " bytes; a sequence needs " + std::to_string(sequence + 1));
  }
  if (vocabulary < 256) {
    throw InputError("vocabulary", "bytes as tokens need 256 of them, the model has " + std::to_string(vocabulary));
  }
  return [text = std::move(text)](uint64_t step, uint32_t index, uint32_t length, int32_t* tokens, int32_t* targets) {
    const uint64_t starts = text->size() - length;
    const char* at = text->data() + mix(step * 0x100000001ull + index) % starts;
    for (uint32_t i = 0; i < length; ++i) {
      tokens[i] = static_cast<unsigned char>(at[i]);
      targets[i] = static_cast<unsigned char>(at[i + 1]);
    }
  };
}

}  // namespace pgram
