// The doctor's report of machines that are not here.
#include "cli/doctor/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/doctor/mpi.h"
#include "tests/support/folder.h"

namespace pgram {
namespace {

using nlohmann::json;

/// A node of eight GPUs behind NVSwitch, with everything installed.
DoctorReport node_of_eight() {
  DoctorReport r;
  r.version = "0.1.0";
  r.processor = "Made-up Processor 9000";
  r.vectors = "AVX-512 (512 bits)";
  r.cores = 112;
  r.memory_bytes = uint64_t{2} << 40;
  r.libraries = {{"oneDNN", "2.6.3"}, {"hwloc", "2.9.0"}};
  r.nvml.driver = "580.65.06";
  r.cuda.driver = r.cuda.runtime = 13000;
  r.cuda.cublas = 130002;
  r.cuda.nccl = 22809;
  for (int i = 0; i < 8; ++i) {
    const std::string pci = "0000:" + std::to_string(10 + i) + ":00.0";
    r.cuda.gpus.push_back({"NVIDIA H100 80GB HBM3", pci, 9, 0, 132, uint64_t{80} << 30});
    r.nvml.gpus.push_back({"NVIDIA H100 80GB HBM3", pci, uint64_t{80} << 30});
  }
  r.nvml.links.assign(8, std::vector<std::string>(8, "NV18"));
  for (int i = 0; i < 8; ++i) r.nvml.links[i][i] = "X";
  r.mpirun = "/usr/bin/mpirun";
  r.mpi = "Open MPI 4.1.4";
  r.has_gui = r.has_display = true;
  r.commands = command_states(r);
  return r;
}

DoctorReport machine_without_anything() {
  DoctorReport r;
  r.version = "0.1.0";
  r.nvml.error = "libnvidia-ml.so.1 was not found";
  r.no_cuda = "the CUDA backend is not built in this version; use --backend cpu";
  r.commands = command_states(r);
  return r;
}

void expect_one_screen(const std::string& text) {
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 40) << text;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_TRUE(line.empty() || line.back() != ' ') << "blanks at the end: " << line;
  }
}

TEST(DoctorText, NodeOfEightGpus) {
  const std::string text = to_text(node_of_eight());
  expect_one_screen(text);
  EXPECT_EQ(text,
            "pgram 0.1.0 on this machine\n"
            "\n"
            "CPU        Made-up Processor 9000, 112 cores, 2.00 TiB memory, vectors AVX-512 (512 bits)\n"
            "libraries  oneDNN 2.6.3, hwloc 2.9.0\n"
            "driver     580.65.06, for CUDA up to 13.0\n"
            "CUDA       runtime 13.0, cuBLAS 13.0.2, NCCL 2.28.9\n"
            "GPUs       8 x NVIDIA H100 80GB HBM3, compute capability 9.0, 132 multiprocessors, 80.0 GiB\n"
            "links            GPU0  GPU1  GPU2  GPU3  GPU4  GPU5  GPU6  GPU7\n"
            "           GPU0   X    NV18  NV18  NV18  NV18  NV18  NV18  NV18\n"
            "           GPU1  NV18   X    NV18  NV18  NV18  NV18  NV18  NV18\n"
            "           GPU2  NV18  NV18   X    NV18  NV18  NV18  NV18  NV18\n"
            "           GPU3  NV18  NV18  NV18   X    NV18  NV18  NV18  NV18\n"
            "           GPU4  NV18  NV18  NV18  NV18   X    NV18  NV18  NV18\n"
            "           GPU5  NV18  NV18  NV18  NV18  NV18   X    NV18  NV18\n"
            "           GPU6  NV18  NV18  NV18  NV18  NV18  NV18   X    NV18\n"
            "           GPU7  NV18  NV18  NV18  NV18  NV18  NV18  NV18   X\n"
            "           NV# # NVLinks\n"
            "MPI        Open MPI 4.1.4 (/usr/bin/mpirun)\n"
            "\n"
            "ready      models, clusters, plan, simulate, layouts, run, calibrate, compare, export, demo, doctor,\n"
            "           gui, run --backend cuda, calibrate --backend cuda, mpirun pgram run --backend cuda\n");
}

TEST(DoctorText, NothingIsGuessed) {
  const std::string text = to_text(machine_without_anything());
  expect_one_screen(text);
  EXPECT_EQ(text,
            "pgram 0.1.0 on this machine\n"
            "\n"
            "CPU        unknown, unknown number of cores, unknown memory, vectors unknown\n"
            "libraries\n"
            "driver     none found: libnvidia-ml.so.1 was not found\n"
            "CUDA       unknown: the CUDA backend is not built in this version; use --backend cpu\n"
            "GPUs       unknown without a driver\n"
            "links      unknown: libnvidia-ml.so.1 was not found\n"
            "MPI        mpirun is not on the path\n"
            "\n"
            "ready      models, clusters, plan, simulate, layouts, run, calibrate, compare, export, demo, doctor\n"
            "not ready  gui: pgram was built without Qt 6. To do: install qt6-base-dev and build again\n"
            "           run --backend cuda, calibrate --backend cuda: the CUDA backend is not built in this\n"
            "           version; use --backend cpu. To do: install cuda-toolkit-13-0, libnccl2 and libnccl-dev\n"
            "           from NVIDIA's package repository, and build again if the backend was not built\n"
            "           mpirun pgram run --backend cuda: the CUDA backend is not built in this version; use\n"
            "           --backend cpu; and mpirun is not on the path. To do: install cuda-toolkit-13-0, libnccl2\n"
            "           and libnccl-dev from NVIDIA's package repository, and build again if the backend was not\n"
            "           built; and install openmpi-bin, or start it by srun or torchrun\n");
}

TEST(DoctorText, ADriverWhoseVersionIsNotKnownIsStillOne) {
  DoctorReport r = node_of_eight();
  r.nvml = {};
  r.nvml.error = "libnvidia-ml.so.1 was not found";
  const std::string text = to_text(r);
  expect_one_screen(text);
  EXPECT_NE(text.find("driver     version unknown: libnvidia-ml.so.1 was not found, for CUDA up to 13.0\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("GPUs       8 x NVIDIA H100"), std::string::npos) << text;
}

TEST(DoctorText, LongOnesStillFitOneScreen) {
  DoctorReport r = machine_without_anything();
  r.processor = std::string(60, 'P') + " " + std::string(60, 'Q');
  for (int i = 0; i < 6; ++i) r.libraries.push_back({"library" + std::to_string(i), "1.2.3"});
  r.nvml.error.clear();
  for (int i = 0; i < 12; ++i) {
    r.cuda.gpus.push_back({"GPU kind " + std::to_string(i), "0000:01:00.0", 8, 0, 100, uint64_t{80} << 30});
  }
  r.nvml.links.assign(10, std::vector<std::string>(10, "NODE"));
  expect_one_screen(to_text(r));
  r.nvml.links.assign(16, std::vector<std::string>(16, "SYS"));
  const std::string text = to_text(r);
  expect_one_screen(text);
  EXPECT_NE(text.find("16 GPUs are too many to show here; see --json"), std::string::npos) << text;
}

TEST(DoctorText, VersionsAsTheLibrariesWriteThem) {
  EXPECT_EQ(cuda_version_text(12080), "12.8");
  EXPECT_EQ(cuda_version_text(0), "");
  EXPECT_EQ(cublas_version_text(130002), "13.0.2");
  EXPECT_EQ(nccl_version_text(22809), "2.28.9");
  EXPECT_EQ(nccl_version_text(2804), "2.8.4");
}

TEST(DoctorCommands, SayTheFirstThingThatIsMissing) {
  const auto state = [](const DoctorReport& r, const std::string& command) {
    for (const DoctorReport::CommandState& s : command_states(r)) {
      if (s.command == command) return s.missing.empty() ? "ready" : s.missing + " -> " + s.cure;
    }
    return std::string("no such command");
  };
  DoctorReport r = node_of_eight();
  EXPECT_EQ(state(r, "run --backend cuda"), "ready");
  r.mpirun.clear();
  EXPECT_EQ(state(r, "mpirun pgram run --backend cuda"),
            "mpirun is not on the path -> install openmpi-bin, or start it by srun or torchrun");
  r.has_display = false;
  EXPECT_EQ(state(r, "gui"), "there is no display -> set DISPLAY or WAYLAND_DISPLAY, or use --screenshot FILE");
  r.cuda.gpus.clear();
  r.cuda.error = "the NVIDIA driver is too old";
  EXPECT_EQ(state(r, "run --backend cuda").find("the NVIDIA driver is too old -> "), 0u);
  r.nvml.error = "libnvidia-ml.so.1 was not found";
  EXPECT_EQ(state(r, "run --backend cuda")
                .find("no NVIDIA driver answers: libnvidia-ml.so.1 was not found -> install nvidia-driver"),
            0u);
  EXPECT_EQ(state(r, "simulate"), "ready");
}

TEST(DoctorJson, HasNullForWhatIsUnknown) {
  const json eight = json::parse(to_json(node_of_eight()));
  EXPECT_EQ(eight["cuda"]["nccl"], "2.28.9");
  EXPECT_EQ(eight["cuda"]["gpus"].size(), 8u);
  EXPECT_EQ(eight["driver"]["gpus"][0]["links"][7], "NV18");
  EXPECT_EQ(eight["driver"]["gpus"][3]["pci"], eight["cuda"]["gpus"][3]["pci"]);
  EXPECT_TRUE(eight["driver"]["error"].is_null());
  const json none = json::parse(to_json(machine_without_anything()));
  EXPECT_TRUE(none["cpu"]["cores"].is_null());
  EXPECT_TRUE(none["driver"]["version"].is_null());
  EXPECT_TRUE(none["cuda"]["runtime"].is_null());
  EXPECT_TRUE(none["mpi"]["mpirun"].is_null());
  EXPECT_EQ(none["commands"].size(), 15u);
  for (const json& command : none["commands"]) EXPECT_EQ(command["ready"], command["missing"].is_null());
}

// GPUs 0 to 2 have 6 links to the switch, 0 and 1 two more to each other; 3 has PCIe only, and of 2 and 3 NVML does not
// say.
TEST(Nvml, ReadsGpusAndLinks) {
  const NvmlReport report = look_at_nvml(PGRAM_FAKE_NVML);
  EXPECT_EQ(report.error, "");
  EXPECT_EQ(report.driver, "580.65.06");
  ASSERT_EQ(report.gpus.size(), 4u);
  EXPECT_EQ(report.gpus[1].name, "Test GPU 1");
  EXPECT_EQ(report.gpus[1].pci, "0000:1b:00.0");
  EXPECT_EQ(report.gpus[1].memory_bytes, uint64_t{1} << 30);
  const std::vector<std::vector<std::string>> expected{
      {"X", "NV8", "NV6", "SYS"}, {"NV8", "X", "NV6", "PHB"}, {"NV6", "NV6", "X", ""}, {"SYS", "PHB", "", "X"}};
  EXPECT_EQ(report.links, expected);
}

TEST(Nvml, SaysWhatIsWrong) {
  EXPECT_EQ(look_at_nvml("libnone-such.so.1").error, "libnone-such.so.1 was not found");
  EXPECT_EQ(look_at_nvml("libm.so.6").error, "libm.so.6 lacks functions that every driver has");
  EXPECT_EQ(plain_pci("00000000:1B:00.0"), "0000:1b:00.0");
  EXPECT_EQ(plain_pci("0000:1B:00.0"), "0000:1b:00.0");
}

TEST(Mpi, VersionsOfTheUsualOnes) {
  EXPECT_EQ(mpi_version("mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/\n"),
            "Open MPI 4.1.4");
  EXPECT_EQ(mpi_version("HYDRA build details:\n    Version:                                 4.0.2\n"),
            "MPICH (Hydra) 4.0.2");
  EXPECT_EQ(mpi_version("something else\n"), "");
  EXPECT_EQ(mpi_version("mpirun (cut off"), "");
}

TEST(Mpi, IsTheFirstOnThePathThatCanBeExecuted) {
  const test::Folder folder;
  for (const char* name : {"a/mpirun", "b/mpirun"}) folder.write(name, "#!/bin/sh\n");
  std::filesystem::permissions(folder / "b/mpirun", std::filesystem::perms::owner_all);
  const std::string path = folder / "a" + ":" + folder / "b";
  EXPECT_EQ(find_program("mpirun", path), folder / "b/mpirun");
  EXPECT_EQ(find_program("mpirun", folder / "a"), "");
}

}  // namespace
}  // namespace pgram
