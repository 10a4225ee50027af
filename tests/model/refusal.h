// Helper of the model tests: what a bad input is told.
#pragma once
#include <string>

#include "core/base/errors.h"

namespace pgram {

/// what() of the InputError that `action` must throw; "accepted" when it throws none.
template <typename Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace pgram
