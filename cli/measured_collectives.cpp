#include "cli/measured_collectives.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/errors.h"
#include "core/base/json_reader.h"
#include "core/base/library.h"

namespace pgram::cli {

namespace {

/// The text of a file, unpacked if gzip packed it.
std::string read_packed(const std::string& path) {
  constexpr size_t kMost = size_t{1} << 28;
  if (!std::filesystem::is_regular_file(path)) throw InputError(path, 0, "", "no such file");
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) throw InputError(path, 0, "", "cannot be read");
  std::string text;
  std::vector<char> block(1 << 16);
  int n = 0;
  while ((n = gzread(file.get(), block.data(), static_cast<unsigned>(block.size()))) > 0) {
    text.append(block.data(), static_cast<size_t>(n));
    if (text.size() > kMost) throw InputError(path, 0, "", "more than 256 MiB of text");
  }
  int error = Z_OK;
  const char* message = gzerror(file.get(), &error);
  if (n < 0 || (error != Z_OK && error != Z_STREAM_END))
    throw InputError(path, 0, "", std::string("gzip: ") + message + "; expected a whole file");
  return text;
}

struct System {
  const char *gpu, *cluster, *network;  ///< `network`: how the text of its links between nodes begins
};
/// The library's clusters by the GPUs and networks of the rows. A DGX A100 has one kind of link with 40 or 80 GB.
constexpr System kSystems[] = {
    {"A100-SXM-80GB", "dgx-a100", "8x200 Gb/s"}, {"A100-SXM-40GB", "dgx-a100", "8x200 Gb/s"},
    {"A100-SXM", "dgx-a100", "8x200 Gb/s"},      {"DGX A100", "dgx-a100", "8x200 Gb/s"},
    {"H100-SXM-80GB", "dgx-h100", "8x400 Gb/s"}, {"H100-SXM", "dgx-h100", "8x400 Gb/s"},
    {"DGX H100", "dgx-h100", "8x400 Gb/s"},      {"B200-SXM", "dgx-b200", "8x400 Gb/s"},
    {"GB200", "gb200-nvl72", "NVLink5"},         {"V100-SXM2-16GB", "dgx-1v", "4x100 Gb/s"},
};

/// Of the rows' words; nothing for what is no collective of ours.
std::optional<Collective> collective_of(const std::string& op) {
  if (op == "alltoall") return Collective::all_to_all;
  for (int i = 0; i <= static_cast<int>(Collective::send_recv); ++i) {
    if (op == name_of(static_cast<Collective>(i))) return static_cast<Collective>(i);
  }
  return std::nullopt;
}

/// Why the row says nothing about NCCL on a cluster of the library; "" and `row` filled in where it does.
std::string map_row(const JsonObject& fields, MeasuredCollective& row) {
  const std::string op = fields.string("op"), library = fields.string("library");
  const std::optional<Collective> collective = collective_of(op);
  if (!collective) return "operation " + op;
  if (library.find("NCCL") == std::string::npos) return "not NCCL: " + library;
  if (!fields.has("size_bytes")) return "no size given";
  const std::string gpu = fields.string("gpu");
  // Of the nodes with these GPUs the library has only the hybrid cube mesh of eight.
  const bool other_v100 = gpu == "V100-SXM2-16GB" && fields.u32("gpus_per_node", 1, 1 << 20) != 8;
  if (other_v100) return "no cluster of the library: " + gpu + ", 4 a node";
  const auto* system =
      std::find_if(std::begin(kSystems), std::end(kSystems), [&](const System& s) { return s.gpu == gpu; });
  if (system == std::end(kSystems)) return "no cluster of the library: " + gpu;
  row.ranks = fields.u32("num_gpus", 2, 1 << 20);
  row.nodes = fields.u32("num_nodes", 1, 1 << 20);
  if (row.ranks % row.nodes != 0) return "devices spread unevenly over nodes";
  if (row.nodes > 1) {
    const std::string network = fields.string_or("inter_node_link", "");
    if (network.empty() || network.find("not stated") != std::string::npos) return gpu + ", network not stated";
    if (network.rfind(system->network, 0) != 0) return gpu + ", another network: " + network;
  }
  row.cluster = system->cluster;
  if (row.nodes > 1) row.cluster += ":" + std::to_string(row.nodes);
  row.collective = *collective;
  row.operation = name_of(*collective);
  // What NCCL could not choose from: NVLS does not add bytes, and some runs had it forbidden.
  if (*collective == Collective::all_reduce && fields.string_or("dtype", "") == "int8") row.operation += " int8";
  const std::string algorithm = fields.string_or("algo", "");
  if (algorithm == "Ring" || algorithm == "no NVLS") row.operation += " (" + algorithm + ")";
  row.bytes = fields.u64("size_bytes", 1, Bytes{1} << 50);
  row.seconds = fields.number(fields.has("time_us") ? "time_us" : "time_us_derived", 1e-3, 1e12) * 1e-6;
  row.trust = fields.string_or("source_trust", "C")[0];
  row.id = fields.string("id");
  row.source = fields.string("source");
  return "";
}

}  // namespace

std::vector<uint32_t> MeasuredCollective::group(const Cluster& cluster) const {
  std::vector<uint32_t> devices;
  for (uint32_t node = 0; node < nodes; ++node) {
    for (uint32_t i = 0; i < ranks / nodes; ++i) devices.push_back(node * cluster.devices_per_node + i);
  }
  return devices;
}

std::string find_measured_collectives() {
  const std::string name = "shared/reference/measured/collectives.json.gz";
  const std::string beside = "../" + name, by_source = library_directory() + "/../../" + name;
  for (const std::string& path : {beside, by_source}) {
    std::error_code error;
    if (std::filesystem::is_regular_file(path, error)) return std::filesystem::path(path).lexically_normal().string();
  }
  throw InputError("FILE", "no measurements at " + beside + " nor beside the project's sources; name their file: " +
                               "pgram validate collectives FILE");
}

MeasuredCollectives read_measured_collectives(const std::string& path) {
  const nlohmann::json document = parse_json(read_packed(path), path);
  if (!document.is_array()) throw InputError(path, 0, "", "expected a list of rows, [{\"id\": ...}, ...]");
  MeasuredCollectives measured;
  for (const nlohmann::json& value : document) {
    const JsonObject fields(value, path, "[" + std::to_string(measured.total++) + "]");
    MeasuredCollective row;
    const std::string reason = map_row(fields, row);
    if (reason.empty()) {
      measured.rows.push_back(std::move(row));
    } else {
      ++measured.left_out[reason];
    }
  }
  return measured;
}

}  // namespace pgram::cli
