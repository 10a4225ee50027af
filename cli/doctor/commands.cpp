// What each command of pgram needs of a machine.
#include "cli/doctor/report.h"

namespace pgram {
namespace {

using State = DoctorReport::CommandState;

State gui_state(const DoctorReport& r) {
  if (!r.has_gui) return {"gui", "pgram was built without Qt 6", "install qt6-base-dev and build again"};
  if (!r.has_display) return {"gui", "there is no display", "set DISPLAY or WAYLAND_DISPLAY, or use --screenshot FILE"};
  return {"gui", "", ""};
}

/// The first thing that is missing: the next one shows only when that is there.
State cuda_state(const DoctorReport& r) {
  const std::string command = "run --backend cuda";
  if (!r.no_cuda.empty()) {
    return {
        command, r.no_cuda,
        "install cuda-toolkit-13-0, libnccl2 and libnccl-dev from NVIDIA's package repository, and build again if the "
        "backend was not built"};
  }
  if (!r.nvml.error.empty() && r.cuda.gpus.empty()) {
    return {command, "no NVIDIA driver answers: " + r.nvml.error,
            "install nvidia-driver (Debian's component non-free), or the driver of NVIDIA's repository"};
  }
  if (!r.cuda.error.empty())
    return {command, r.cuda.error,
            "install a driver as new as the CUDA runtime, and see that nvidia-smi lists the GPU"};
  if (r.cuda.gpus.empty()) return {command, "there is no NVIDIA GPU", "run on a machine that has one"};
  return {command, "", ""};
}

State calibrate_state(const DoctorReport& r) {
  State state = cuda_state(r);
  state.command = "calibrate --backend cuda";
  return state;
}

State processes_state(const DoctorReport& r) {
  State state = cuda_state(r);
  state.command = "mpirun pgram run --backend cuda";
  if (!r.mpirun.empty()) return state;
  const bool rest = !state.missing.empty();
  state.missing += std::string(rest ? "; and " : "") + "mpirun is not on the path";
  state.cure += std::string(rest ? "; and " : "") + "install openmpi-bin, or start it by srun or torchrun";
  return state;
}

}  // namespace

std::vector<State> command_states(const DoctorReport& r) {
  std::vector<State> states;
  for (const char* command : {"models", "clusters", "plan", "simulate", "layouts", "run", "calibrate", "compare",
                              "export", "demo", "doctor"}) {
    states.push_back({command, "", ""});
  }
  states.push_back(gui_state(r));
  states.push_back(cuda_state(r));
  states.push_back(calibrate_state(r));
  states.push_back(processes_state(r));
  return states;
}

}  // namespace pgram
