#include "cli/training.h"

#include <array>
#include <cstdio>
#include <filesystem>

#include "cli/inputs.h"
#include "core/base/errors.h"
#include "core/base/json_reader.h"

namespace pgram::cli {
namespace {

constexpr const char* kBibleCommand = "bible -f gen1:1-rev22:21 2>/dev/null";

std::string bible_text() {
  std::string text;
  std::FILE* pipe = popen(kBibleCommand, "r");
  if (pipe) {
    std::array<char, 65536> block;
    while (const size_t n = std::fread(block.data(), 1, block.size(), pipe)) text.append(block.data(), n);
    if (pclose(pipe) != 0) text.clear();
  }
  if (text.empty()) {
    throw InputError("--text",
                     "missing, and the King James Bible could not be made by the program `bible`; give any text "
                     "file by --text FILE, or install Debian's bible-kjv");
  }
  return text;
}

}  // namespace

std::shared_ptr<const std::string> training_text(const std::string& path) {
  constexpr std::string_view kBibleName = "kjv.txt";
  if (path.empty()) return std::make_shared<const std::string>(bible_text());
  if (!std::filesystem::exists(path) && path.ends_with(kBibleName)) {
    const std::string text = bible_text();
    if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty())
      std::filesystem::create_directories(folder);
    write_text(path, text);
    return std::make_shared<const std::string>(text);
  }
  return std::make_shared<const std::string>(read_text_file(path));
}

CpuOptions cpu_options(const Cluster& cluster, KernelSet kernels) {
  CpuOptions options;
  options.kernels = kernels;
  options.threads_per_rank = std::max(1, static_cast<int>(cluster.cores_per_device));
  return options;
}

}  // namespace pgram::cli
