#include "core/exec/rope_frequencies.h"

#include <cmath>
#include <numbers>

namespace pgram {

double rope_frequency(const Attributes& a, int64_t pair) {
  const double frequency = std::pow(double{a.rope_base}, -2.0 * static_cast<double>(pair) / a.rotary_dims);
  if (a.rope_factor == 1.0f || a.rope_original == 0) return frequency;
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength > a.rope_original / double{a.rope_low}) return frequency / a.rope_factor;
  if (wavelength < a.rope_original / double{a.rope_high}) return frequency;
  const double smooth = (a.rope_original / wavelength - a.rope_low) / (double{a.rope_high} - a.rope_low);
  return (1 - smooth) * frequency / a.rope_factor + smooth * frequency;
}

}  // namespace pgram
