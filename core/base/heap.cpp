#include "core/base/heap.h"

#include <cstdlib>  // __GLIBC__

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace pgram {

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // larger ones are the system's own, and go back
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

}  // namespace pgram
