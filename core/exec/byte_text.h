// A text as training data: bytes are tokens.
#pragma once
#include <memory>
#include <string>

#include "core/exec/interpreter.h"

namespace pgram {

/// Sample `index` of step `step` starts at a pseudo-random byte that depends on both only, so every layout (and a
/// resumed run) sees the same data. InputError when the text is shorter than `sequence` + 1 bytes or the model's
/// vocabulary has fewer than 256 tokens.
TokenSource byte_text_source(std::shared_ptr<const std::string> text, const std::string& name, uint32_t sequence,
                             uint32_t vocabulary);

}  // namespace pgram
