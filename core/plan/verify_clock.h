// How far each stream is known to have come, for the quick way through verify.
#pragma once
#include <array>
#include <cstdint>

#include "core/plan/plan.h"

namespace pgram {

/// For every stream the number of its tasks known to be finished. As many lanes as vector instructions like.
using FinishedTasks = std::array<uint32_t, 16>;
static_assert(kStreams <= std::tuple_size_v<FinishedTasks>);

void take_later(FinishedTasks& into, const FinishedTasks& other);

}  // namespace pgram
