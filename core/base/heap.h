// How the heap of a whole program behaves.
#pragma once

namespace pgram {

/// To be called first in main. What one simulation frees is there for the next one; else the C library gives large
/// pieces back to the system each time, which has to clear them again page by page. Up to 256 MB stay.
void keep_freed_memory();

}  // namespace pgram
