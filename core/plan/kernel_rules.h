// The kernel table's shape rules: which operands a kernel takes, and how their dims agree.
#pragma once
#include <string>
#include <string_view>

#include "core/plan/kernel.h"

namespace pgram {

/// Operands separated by blanks, written ones first; each a letter per dim. Equal letters are equal sizes, a digit is
/// that size, * is anything (several fields or a whole record). `optional`: one more operand that is read.
struct KernelRule {
  std::string_view name, writes, reads, optional = {};
};
const KernelRule& rule_of(Kernel);

/// Empty when the op has the operands of its rule, with dims, element types and attributes that agree, and for
/// communication with the bytes that it says; else what is wrong, for the end of a sentence.
std::string check_operands(const Plan&, const Body&, const Op&);

}  // namespace pgram
