#include "core/cluster/nvidia_topo.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <numeric>
#include <sstream>

#include "core/base/errors.h"
#include "core/base/json_reader.h"
#include "core/cluster/gpu_kinds.h"
#include "core/cluster/graph_topology.h"

namespace pgram {

namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr size_t kMaxNames = 256;
constexpr uint32_t kMostLinks = 18;  // of one GPU, H100 to B200

/// How far two of the matrix's names are from each other: nvidia-smi's legend, nearest first.
enum Distance : uint8_t { kSelf, kPix, kPxb, kPhb, kNode, kSys };

struct Entry {
  Distance distance = kSys;
  uint32_t nvlinks = 0;
  bool operator==(const Entry&) const = default;
};

bool is_gpu(const std::string& name) {
  return name.starts_with("GPU") && name.size() > 3 && std::isdigit(static_cast<unsigned char>(name[3]));
}
bool is_nic(const std::string& name) {
  return name.starts_with("NIC") || name.starts_with("mlx") || name.starts_with("bnxt") || name.starts_with("efa");
}

std::string shown(std::string text) {
  text = text.substr(0, 40);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

/// Without the terminal's underlining (ESC [ 4 m).
std::string without_escapes(const std::string& line) {
  std::string plain;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b' && i + 1 < line.size() && line[i + 1] == '[') {
      while (i < line.size() && line[i] != 'm') ++i;
      continue;
    }
    plain += line[i];
  }
  return plain;
}

std::vector<std::string> words(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> all;
  for (std::string word; stream >> word;) all.push_back(word);
  return all;
}

class Matrix {
 public:
  Matrix(const std::string& text, const std::string& file) : file_(file) {
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
      ++line_;
      read_line(without_escapes(line));
    }
    if (names.empty()) throw InputError(file_, 0, "", "no GPUs: expected the matrix that nvidia-smi topo -m prints");
    for (size_t i = 0; i < names.size(); ++i)
      if (rows[i].empty()) throw InputError(file_, 0, names[i], "its row is missing; is the text cut off?");
    for (size_t i = 0; i < names.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (rows[i][j] != rows[j][i])
          throw InputError(file_, lines[i], names[i],
                           "its entry for " + names[j] + " is not the one that " + names[j] + " has for it");
  }

  std::vector<std::string> names;  ///< GPUs, then NICs
  uint32_t gpus = 0;
  std::vector<std::vector<Entry>> rows;  ///< by name and column
  std::vector<int> lines;
  std::string gpu_name;  ///< of a line of `nvidia-smi -L`

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& message) const {
    throw InputError(file_, line_, field, message);
  }

  void read_line(const std::string& line) {
    if (line.starts_with("GPU ") && line.find(": ") != std::string::npos) {
      gpu_name = line.substr(line.find(": ") + 2);
      gpu_name = gpu_name.substr(0, gpu_name.find(" (UUID"));
      return;
    }
    const std::vector<std::string> parts = words(line);
    if (parts.empty()) return;
    if (names.empty()) {
      if (is_gpu(parts[0]) && (parts.size() == 1 || is_gpu(parts[1]) || is_nic(parts[1]) || parts[1] == "CPU"))
        read_header(parts);
      return;
    }
    const auto found = std::find(names.begin(), names.end(), parts[0]);
    if (found != names.end()) return read_row(static_cast<size_t>(found - names.begin()), parts);
    if (is_gpu(parts[0])) fail(shown(parts[0]), "no column of that name");
  }

  void read_header(const std::vector<std::string>& parts) {
    for (const std::string& name : parts) {
      if (!is_gpu(name) && !is_nic(name)) break;  // "CPU Affinity"
      if (std::find(names.begin(), names.end(), name) != names.end()) fail(shown(name), "is given twice");
      if (names.size() == kMaxNames) fail("", "more than " + std::to_string(kMaxNames) + " columns");
      if (is_gpu(name) && gpus < names.size()) fail(shown(name), "expected GPUs before NICs");
      gpus += is_gpu(name);
      names.push_back(name);
    }
    rows.resize(names.size());
    lines.resize(names.size());
  }

  void read_row(size_t row, const std::vector<std::string>& parts) {
    if (parts[1 % parts.size()] == ":") return;  // the NIC legend
    if (!rows[row].empty()) fail(names[row], "is given twice, first in line " + std::to_string(lines[row]));
    if (parts.size() < names.size() + 1)
      fail(names[row], "expected " + std::to_string(names.size()) + " entries, got " +
                           std::to_string(parts.size() - 1) + "; is the text cut off?");
    lines[row] = line_;
    for (size_t column = 0; column < names.size(); ++column) {
      const Entry entry = read_entry(row, parts[column + 1]);
      if ((entry.distance == kSelf) != (row == column))
        fail(names[row], "expected X where the name meets itself, and nowhere else");
      if (entry.nvlinks > 0 && (row >= gpus || column >= gpus)) fail(names[row], "NVLinks to a NIC");
      rows[row].push_back(entry);
    }
  }

  Entry read_entry(size_t row, const std::string& text) const {
    static const std::vector<std::string> kDistances{"X", "PIX", "PXB", "PHB", "NODE", "SYS"};
    const auto found = std::find(kDistances.begin(), kDistances.end(), text);
    if (found != kDistances.end()) return {static_cast<Distance>(found - kDistances.begin()), 0};
    Entry entry;
    if (text == "SOC") return entry;  // what older drivers say for SYS
    const auto [end, error] =
        std::from_chars(text.data() + std::min<size_t>(2, text.size()), text.data() + text.size(), entry.nvlinks);
    if (!text.starts_with("NV") || error != std::errc() || end != text.data() + text.size() || entry.nvlinks == 0 ||
        entry.nvlinks > 72)
      fail(names[row], "expected X, PIX, PXB, PHB, NODE, SYS or NV1 to NV72, got \"" + shown(text) + "\"");
    return entry;
  }

  const std::string& file_;
  int line_ = 0;
};

class Importer {
 public:
  Importer(const Matrix& matrix, const std::string& file) : matrix_(matrix), file_(file) {}

  ClusterFile read() {
    look_at_nvlinks();
    std::string device = device_of_gpu_name(matrix_.gpu_name);
    const bool known = !device.empty() || !kind_by_links().empty();
    if (device.empty()) device = known ? kind_by_links() : kDefaultGpu;
    sm_ = sm_of_device(device);

    for (uint32_t i = 0; i < matrix_.names.size(); ++i)
      graph_.add(i < matrix_.gpus ? VertexKind::device : VertexKind::nic, matrix_.names[i], 0);
    add_nvlinks();
    add_pcie();

    ClusterFile file;
    file.name = std::filesystem::path(file_).stem().string();
    file.device = find_device(device);
    file.shape = "nvidia-smi topology of " + std::to_string(matrix_.gpus) + " GPUs" +
                 (known ? "" : " of a kind that it does not name, taken as " + device) +
                 (has_switch_       ? ", NVSwitch"
                  : most_links_ > 0 ? ", NVLink mesh"
                                    : ", PCIe only") +
                 ", " + std::to_string(matrix_.names.size() - matrix_.gpus) + " NICs";
    file.description = file.shape;
    ShapedGraph shaped;
    shaped.devices = shaped.devices_per_node = matrix_.gpus;
    shaped.graph = graph_.take();
    shaped.rule = [](uint32_t, uint32_t to, std::span<const uint32_t> links) { return to % links.size(); };
    file.graph = std::move(shaped);
    return file;
  }

 private:
  void look_at_nvlinks() {
    for (uint32_t i = 0; i < matrix_.gpus; ++i) {
      uint32_t sum = 0;
      for (uint32_t j = 0; j < matrix_.gpus; ++j) {
        sum += matrix_.rows[i][j].nvlinks;
        most_of_a_pair_ = std::max(most_of_a_pair_, matrix_.rows[i][j].nvlinks);
      }
      most_links_ = std::max(most_links_, sum);
    }
    has_switch_ = most_links_ > kMostLinks;
  }

  std::string kind_by_links() const {
    const uint32_t links = has_switch_ ? most_of_a_pair_ : most_links_;
    return links == 18 ? "h100-sxm" : links == 12 ? "a100-80-sxm" : links == 6 ? "v100-32-sxm" : "";
  }

  void add_nvlinks() {
    const auto wire = [&](uint32_t links, Seconds latency) {
      return Wire{"nvlink", links * nvlink_bytes_per_second(sm_), latency};
    };
    const uint32_t nvswitch = has_switch_ ? graph_.add(VertexKind::switch_, "nvswitch", 0) : 0;
    for (uint32_t i = 0; i < matrix_.gpus; ++i) {
      uint32_t most = 0;
      for (uint32_t j = 0; j < matrix_.gpus; ++j) {
        const uint32_t links = matrix_.rows[i][j].nvlinks;
        most = std::max(most, links);
        if (!has_switch_ && i < j && links > 0) graph_.connect(i, j, wire(links, kNvLink));
      }
      if (has_switch_ && most > 0) graph_.connect(i, nvswitch, wire(most, kToNvSwitch));
    }
  }

  /// Names as near to each other as `distance`, NVLink aside, share a group; GPUs that NVLink hides from each other
  /// meet through whoever else is near to both.
  std::vector<uint32_t> groups(Distance distance) const {
    std::vector<uint32_t> group(matrix_.names.size());
    std::iota(group.begin(), group.end(), 0u);
    for (uint32_t i = 0; i < group.size(); ++i)
      for (uint32_t j = 0; j < i; ++j)
        if (matrix_.rows[i][j].nvlinks == 0 && matrix_.rows[i][j].distance <= distance && group[i] != group[j]) {
          const uint32_t from = std::max(group[i], group[j]), to = std::min(group[i], group[j]);
          std::replace(group.begin(), group.end(), from, to);
        }
    return group;
  }

  void add_pcie() {
    const double speed = pcie_bytes_per_second(sm_);
    const uint32_t names = static_cast<uint32_t>(matrix_.names.size());
    const std::vector<uint32_t> by_switch = groups(kPix), by_bridge = groups(kPxb), by_cpu = groups(kNode);
    const auto gpus_in = [&](const std::vector<uint32_t>& group, uint32_t g) {
      return std::max<uint32_t>(1, static_cast<uint32_t>(std::count(group.begin(), group.begin() + matrix_.gpus, g)));
    };
    const auto vertices = [&](const std::vector<uint32_t>& group, const std::string& name) {
      std::vector<uint32_t> made(names, 0);
      uint32_t count = 0;
      for (uint32_t i = 0; i < names; ++i)
        if (group[i] == i) made[i] = graph_.add(VertexKind::switch_, name + std::to_string(count++), 0);
      return made;
    };
    const std::vector<uint32_t> switches = vertices(by_switch, "pcie"), bridges = vertices(by_bridge, "bridge"),
                                cpus = vertices(by_cpu, "cpu");
    for (uint32_t i = 0; i < names; ++i)
      graph_.connect(i, switches[by_switch[i]], {"pcie", speed, i < matrix_.gpus ? kToPcieSwitch : kBeyondPcieSwitch});
    for (uint32_t i = 0; i < names; ++i)
      if (by_switch[i] == i)
        graph_.connect(switches[i], bridges[by_bridge[i]], {"pcie", speed, kBeyondPcieSwitch}, gpus_in(by_switch, i));
    for (uint32_t i = 0; i < names; ++i)
      if (by_bridge[i] == i)
        graph_.connect(bridges[i], cpus[by_cpu[i]], {"pcie", speed, kBeyondPcieSwitch}, gpus_in(by_bridge, i));
    // Nothing here says what the CPUs are: 16 GB/s, what NCCL counts on between AMD's, lies in the middle of its table.
    for (uint32_t i = 0; i < names; ++i)
      for (uint32_t j = i + 1; j < names; ++j)
        if (by_cpu[i] == i && by_cpu[j] == j)
          graph_.connect(cpus[i], cpus[j], {"socket", 16e9, kBetweenCpus},
                         std::max(gpus_in(by_cpu, i), gpus_in(by_cpu, j)));
  }

  const Matrix& matrix_;
  const std::string& file_;
  GraphBuilder graph_;
  uint32_t most_of_a_pair_ = 0, most_links_ = 0, sm_ = 0;
  bool has_switch_ = false;
};

}  // namespace

ClusterFile parse_nvidia_topology(const std::string& text, const std::string& file_name) {
  return Importer(Matrix(text, file_name), file_name).read();
}

ClusterFile read_nvidia_topology(const std::string& path) {
  return parse_nvidia_topology(read_text_file(path, kMaxFileBytes), path);
}

}  // namespace pgram
