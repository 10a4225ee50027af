#include "core/exec/backend.h"

namespace pgram {

ProcessGroup& Backend::processes() {
  static ProcessGroup alone;
  return alone;
}

}  // namespace pgram
