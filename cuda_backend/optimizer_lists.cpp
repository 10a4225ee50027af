#include "cuda_backend/optimizer_lists.h"

#include "core/exec/optimizer_fields.h"
#include "cuda_backend/check.h"
#include "cuda_backend/kernels/kernels.h"

namespace pgram {
namespace {

/// Calls `launch_list` with the tensors of fields 0, 1, ..., as many at a time as a list holds.
template <class List, class MakeTensor, class LaunchList>
void for_lists(size_t fields, MakeTensor make, LaunchList launch_list) {
  List list;
  for (size_t f = 0; f < fields; ++f) {
    list.add(make(f));
    if (!list.full()) continue;
    launch_list(list);
    list = List();
  }
  launch_list(list);
}

int64_t elements(const Record& record, size_t field) {
  return static_cast<int64_t>(record.fields[field].count());
}

}  // namespace

uint64_t square_partials(const Record& record) {
  uint64_t blocks = 0;
  for (size_t f = 0; f < record.fields.size(); ++f) blocks += kernels::SquaresList::blocks_of(elements(record, f));
  return blocks;
}

void sum_squares(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  const Tensor& gradients = launch.operands[1];
  const Record& record = *gradients.record;
  double* partials = reinterpret_cast<double*>(context.workspace);
  int64_t partial = 0;
  for_lists<kernels::SquaresList>(
      record.fields.size(),
      [&](size_t f) {
        return kernels::SquaresTensor{field_data(gradients, f), elements(record, f),
                                      norm_weight(record.fields[f], context.tp_size)};
      },
      [&](const kernels::SquaresList& list) {
        PGRAM_CHECK(kernels::squares(partials + partial, list, stream));
        partial += list.num_blocks;
      });
  PGRAM_CHECK(kernels::add_squares(floats(launch, 0), partials, partial, stream));
}

void clip(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::clip(floats(launch, 0), floats(launch, 1), floats(launch, 2), launch.hyperparameters->clip_norm,
                            stream));
}

void adamw(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  const Tensor &weights = launch.operands[0], &state = launch.operands[1], &gradients = launch.operands[2];
  const AdamStep step = adam_step(launch);
  const kernels::AdamNumbers numbers{step.beta1, step.beta2, step.epsilon, step.step, step.root};
  const size_t fields = weights.record->fields.size();
  for_lists<kernels::AdamList>(
      fields,
      [&](size_t f) {
        return kernels::AdamTensor{field_data(weights, f),        field_data(state, f),
                                   field_data(state, fields + f), field_data(gradients, f),
                                   elements(*weights.record, f),  step.keep(weights.record->fields[f])};
      },
      [&](const kernels::AdamList& list) { PGRAM_CHECK(kernels::adamw(list, numbers, floats(launch, 3), stream)); });
}

void sgd(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  const Tensor &weights = launch.operands[0], &gradients = launch.operands[1];
  for_lists<kernels::SgdList>(
      weights.record->fields.size(),
      [&](size_t f) {
        return kernels::SgdTensor{field_data(weights, f), field_data(gradients, f), elements(*weights.record, f)};
      },
      [&](const kernels::SgdList& list) {
        PGRAM_CHECK(kernels::sgd(list, launch.hyperparameters->learning_rate, floats(launch, 2), stream));
      });
}

}  // namespace pgram
