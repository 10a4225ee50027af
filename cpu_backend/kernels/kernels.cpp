#include "cpu_backend/kernels/kernels.h"

#include <array>
#include <string>

#include "core/base/errors.h"
#include "cpu_backend/kernels/fast.h"
#include "cpu_backend/kernels/plain.h"

namespace pgram {
namespace {

using KernelFunction = void (*)(const Launch&, const RankInfo&);
using KernelTable = std::array<KernelFunction, kKernels>;

KernelTable plain_table() {
  KernelTable table{};
  const auto set = [&](Kernel kernel, KernelFunction function) { table[static_cast<size_t>(kernel)] = function; };
  set(Kernel::input, plain::input);
  set(Kernel::embed, plain::embed);
  set(Kernel::embed_dw, plain::embed_dw);
  set(Kernel::positions, plain::positions);
  set(Kernel::positions_dw, plain::positions_dw);
  set(Kernel::rms_norm, plain::rms_norm);
  set(Kernel::rms_norm_dx, plain::rms_norm_dx);
  set(Kernel::rms_norm_dw, plain::rms_norm_dw);
  set(Kernel::layer_norm, plain::layer_norm);
  set(Kernel::layer_norm_dx, plain::layer_norm_dx);
  set(Kernel::layer_norm_dw, plain::layer_norm_dw);
  set(Kernel::matmul, plain::matmul);
  set(Kernel::matmul_dx, plain::matmul_dx);
  set(Kernel::matmul_dw, plain::matmul_dw);
  set(Kernel::bias, plain::bias);
  set(Kernel::bias_dw, plain::bias_dw);
  set(Kernel::head_norm, plain::head_norm);
  set(Kernel::head_norm_dx, plain::head_norm_dx);
  set(Kernel::head_norm_dw, plain::head_norm_dw);
  set(Kernel::rope, plain::rope);
  set(Kernel::rope_bwd, plain::rope_bwd);
  set(Kernel::attention, plain::attention);
  set(Kernel::attention_bwd, plain::attention_bwd);
  set(Kernel::swiglu, plain::swiglu);
  set(Kernel::swiglu_bwd, plain::swiglu_bwd);
  set(Kernel::gelu, plain::gelu);
  set(Kernel::gelu_bwd, plain::gelu_bwd);
  set(Kernel::add, plain::add);
  set(Kernel::ce_max, plain::ce_max);
  set(Kernel::ce_sum, plain::ce_sum);
  set(Kernel::ce_loss, plain::ce_loss);
  set(Kernel::ce_bwd, plain::ce_bwd);
  set(Kernel::zero, plain::zero);
  set(Kernel::sum_squares, plain::sum_squares);
  set(Kernel::clip, plain::clip);
  set(Kernel::adamw, plain::adamw);
  set(Kernel::sgd, plain::sgd);
  return table;
}

/// input, ce_loss, zero and clip have nothing to gain.
KernelTable fast_table() {
  KernelTable table = plain_table();
#ifndef PGRAM_PLAIN_KERNELS_ONLY
  const auto set = [&](Kernel kernel, KernelFunction function) { table[static_cast<size_t>(kernel)] = function; };
  set(Kernel::embed, fast::embed);
  set(Kernel::embed_dw, fast::embed_dw);
  set(Kernel::positions, fast::positions);
  set(Kernel::positions_dw, fast::positions_dw);
  set(Kernel::rms_norm, fast::rms_norm);
  set(Kernel::rms_norm_dx, fast::rms_norm_dx);
  set(Kernel::rms_norm_dw, fast::rms_norm_dw);
  set(Kernel::layer_norm, fast::layer_norm);
  set(Kernel::layer_norm_dx, fast::layer_norm_dx);
  set(Kernel::layer_norm_dw, fast::layer_norm_dw);
  set(Kernel::matmul, fast::matmul);
  set(Kernel::matmul_dx, fast::matmul_dx);
  set(Kernel::matmul_dw, fast::matmul_dw);
  set(Kernel::bias, fast::bias);
  set(Kernel::bias_dw, fast::bias_dw);
  set(Kernel::head_norm, fast::head_norm);
  set(Kernel::head_norm_dx, fast::head_norm_dx);
  set(Kernel::head_norm_dw, fast::head_norm_dw);
  set(Kernel::rope, fast::rope);
  set(Kernel::rope_bwd, fast::rope_bwd);
  set(Kernel::attention, fast::attention);
  set(Kernel::attention_bwd, fast::attention_bwd);
  set(Kernel::swiglu, fast::swiglu);
  set(Kernel::swiglu_bwd, fast::swiglu_bwd);
  set(Kernel::gelu, fast::gelu);
  set(Kernel::gelu_bwd, fast::gelu_bwd);
  set(Kernel::add, fast::add);
  set(Kernel::ce_max, fast::ce_max);
  set(Kernel::ce_sum, fast::ce_sum);
  set(Kernel::ce_bwd, fast::ce_bwd);
  set(Kernel::sum_squares, fast::sum_squares);
  set(Kernel::adamw, fast::adamw);
  set(Kernel::sgd, fast::sgd);
#endif
  return table;
}

}  // namespace

void run_kernel(KernelSet set, const Launch& launch, const RankInfo& rank) {
  static const KernelTable kPlain = plain_table(), kFast = fast_table();
  const KernelFunction function = (set == KernelSet::plain ? kPlain : kFast)[static_cast<size_t>(launch.op->kernel)];
  if (!function)
    throw RunError("kernel " + std::string(name_of(launch.op->kernel)) + " does not run on a compute stream");
  function(launch, rank);
}

}  // namespace pgram
