#include "core/workload/workload.h"

#include <gtest/gtest.h>

#include "core/base/errors.h"

namespace pgram {
namespace {

TEST(Workload, NamesReadBack) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    EXPECT_EQ(parse_precision(name_of(precision)), precision);
  }
  for (const Optimizer optimizer : {Optimizer::adamw, Optimizer::sgd}) {
    EXPECT_EQ(parse_optimizer(name_of(optimizer)), optimizer);
  }
}

TEST(Workload, UnknownNamesAreRefusedWithTheKnownOnes) {
  try {
    parse_precision("fp8");
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "precision: 'fp8' is not known; expected fp32 or bf16");
  }
  try {
    parse_optimizer("");
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "optimizer: '' is not known; expected adamw or sgd");
  }
}

}  // namespace
}  // namespace pgram
