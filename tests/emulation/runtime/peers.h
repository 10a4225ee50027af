// Which devices may use each other's memory in kernels.
#pragma once

namespace pgram::emulation {

/// Whether kernels on `device` may use memory of `peer`: the same one, or one that cudaDeviceEnablePeerAccess opened.
bool may_reach(int device, int peer);

}  // namespace pgram::emulation
