#include "core/workload/workload.h"

#include "core/base/errors.h"

namespace pgram {

const char* name_of(Precision precision) {
  return precision == Precision::bf16 ? "bf16" : "fp32";
}

const char* name_of(Optimizer optimizer) {
  return optimizer == Optimizer::sgd ? "sgd" : "adamw";
}

Precision parse_precision(const std::string& text) {
  for (const Precision known : {Precision::fp32, Precision::bf16}) {
    if (text == name_of(known)) return known;
  }
  throw InputError("precision", "'" + text + "' is not known; expected fp32 or bf16");
}

Optimizer parse_optimizer(const std::string& text) {
  for (const Optimizer known : {Optimizer::adamw, Optimizer::sgd}) {
    if (text == name_of(known)) return known;
  }
  throw InputError("optimizer", "'" + text + "' is not known; expected adamw or sgd");
}

}  // namespace pgram
