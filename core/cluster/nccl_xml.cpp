#include "core/cluster/nccl_xml.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <pugixml.hpp>
#include <set>

#include "core/base/errors.h"
#include "core/base/json_reader.h"
#include "core/cluster/gpu_kinds.h"
#include "core/cluster/graph_topology.h"

namespace pgram {

namespace {

constexpr size_t kMaxFileBytes = size_t{16} << 20;
constexpr size_t kMaxGpus = 1024, kMaxElements = 1 << 16;
constexpr int kMaxDepth = 32;

/// GB/s between two CPUs (NCCL 2.28 graph/topo.h).
double cpu_gb_per_second(const std::string& arch, const std::string& vendor, uint64_t family, uint64_t model) {
  if (arch == "ppc64") return 32;
  if (arch == "arm64") return 6;
  if (vendor == "AuthenticAMD") return 16;
  if (family == 6 && model >= 0xcf) return 40;  // Emerald Rapids
  if (family == 6 && model >= 0x8f) return 22;  // Sapphire Rapids
  if (family == 6 && model >= 0x55) return 10;  // Skylake
  return 6;                                     // Broadwell
}

class Importer {
 public:
  Importer(const std::string& text, const std::string& file) : text_(text), file_(file) {}

  ClusterFile read() {
    parse();
    const pugi::xml_node system = document_.document_element();
    if (std::string(system.name()) == "graphs")
      fail(system,
           "these are the graphs that NCCL chose (NCCL_GRAPH_DUMP_FILE); expected its topology "
           "(NCCL_TOPO_DUMP_FILE)");
    if (std::string(system.name()) != "system") fail(system, "expected <system version=\"1\">");
    if (whole(system, "version", 0, UINT32_MAX, 1) != 1) fail_at(system, "version", "expected version 1");
    find_gpus(system, 0);
    if (gpus_.empty()) fail(system, "no GPU: expected a <gpu>, or a <pci> whose class begins with 0x03");
    sort_gpus();
    for (const Gpu& gpu : gpus_) {
      const std::string name = "gpu" + std::to_string(vertex_of_.size());
      vertex_of_[gpu.pci] = graph_.add(VertexKind::device, name, 0);
    }
    for (const pugi::xml_node cpu : system.children("cpu")) add_cpu(cpu);
    connect_cpus();
    add_nvlinks();
    return finish();
  }

 private:
  struct Gpu {
    pugi::xml_node pci, gpu;  ///< `gpu` is empty in partial files
    std::string bus, host;
    uint64_t sm = 0;
  };
  struct Cpu {
    uint32_t vertex;
    std::string host;
    double gb_per_second;
    uint32_t gpus;
  };

  // Errors and attributes.

  int line_of(ptrdiff_t offset) const {
    const size_t end = std::min(text_.size(), static_cast<size_t>(std::max<ptrdiff_t>(offset, 0)));
    return 1 + static_cast<int>(std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(end), '\n'));
  }
  [[noreturn]] void fail(pugi::xml_node node, const std::string& message) const {
    throw InputError(file_, line_of(node.offset_debug()), "<" + std::string(node.name()).substr(0, 20) + ">", message);
  }
  [[noreturn]] void fail_at(pugi::xml_node node, const char* attribute, const std::string& expected) const {
    fail(node, std::string(attribute) + ": " + expected + ", got \"" + shown(node.attribute(attribute).value()) + "\"");
  }
  static std::string shown(std::string value) {
    value = value.substr(0, 40);
    for (char& c : value)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return value;
  }

  /// Decimal, or hexadecimal after "0x"; `fallback` where the attribute is missing or empty.
  uint64_t whole(pugi::xml_node node, const char* attribute, uint64_t min, uint64_t max, uint64_t fallback) const {
    std::string value = node.attribute(attribute).value();
    if (value.empty()) return fallback;
    const bool hex = value.starts_with("0x");
    if (hex) value = value.substr(2);
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number, hex ? 16 : 10);
    if (error != std::errc() || end != value.data() + value.size() || number < min || number > max)
      fail_at(node, attribute, "expected a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return number;
  }

  static bool has_class(pugi::xml_node pci, const char* prefix) {
    return std::string(pci.attribute("class").value()).starts_with(prefix);
  }
  static bool is_gpu(pugi::xml_node pci) { return pci.child("gpu") || has_class(pci, "0x03"); }
  static bool is_nic(pugi::xml_node pci) { return pci.child("nic") || has_class(pci, "0x02"); }

  /// lanes x GT/s in NCCL's units of 80: GB/s 12, 24, 48 for 16 lanes of generation 3, 4, 5. Without a word, 3 and 16.
  Wire pcie_wire(pugi::xml_node pci, Seconds latency) const {
    const std::string text = pci.attribute("link_speed").value();
    double per_lane = 60;
    if (!text.empty() && !text.starts_with("Unknown")) {
      static const std::map<double, double> kGenerations{{2.5, 15}, {5, 30}, {8, 60}, {16, 120}, {32, 240}, {64, 480}};
      double speed = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), speed);
      const auto known = error == std::errc() ? kGenerations.find(speed) : kGenerations.end();
      if (known == kGenerations.end() || !std::string(end).starts_with(" GT/s"))
        fail_at(pci, "link_speed", "expected a PCIe speed like \"32.0 GT/s PCIe\"");
      per_lane = known->second;
    }
    uint64_t lanes = whole(pci, "link_width", 0, 64, 16);
    if (lanes == 0) lanes = 16;  // what virtual machines say
    return {"pcie", static_cast<double>(lanes) * per_lane / 80 * 1e9, latency};
  }

  // The tree.

  void parse() {
    if (text_.find_first_not_of(" \t\r\n") == std::string::npos) throw InputError(file_, 0, "", "the file is empty");
    const pugi::xml_parse_result result =
        document_.load_buffer(text_.data(), text_.size(), pugi::parse_default, pugi::encoding_utf8);
    if (result) return;
    const ptrdiff_t last = static_cast<ptrdiff_t>(text_.find_last_not_of(" \t\r\n"));
    const bool cut_off = result.status != pugi::status_no_document_element && result.offset + 8 >= last;
    throw InputError(file_, line_of(std::min(result.offset, last)), "",
                     std::string("not XML (") + result.description() + ")" + (cut_off ? "; is the file cut off?" : ""));
  }

  void find_gpus(pugi::xml_node parent, int depth) {
    if (depth > kMaxDepth) fail(parent, "nested more than " + std::to_string(kMaxDepth) + " deep");
    for (const pugi::xml_node node : parent.children()) {
      if (++elements_ > kMaxElements) fail(node, "more than " + std::to_string(kMaxElements) + " elements");
      const std::string name = node.name();
      if (name != "pci" && name != "cpu") continue;
      if (name == "cpu") host_ = node.attribute("host_hash").value();
      if (name == "pci") {
        const std::string bus = node.attribute("busid").value();
        if (!bus.empty() && !buses_.insert(host_ + " " + bus).second)
          fail(node, "busid \"" + shown(bus) + "\" is given twice");
        if (is_gpu(node)) {
          if (gpus_.size() == kMaxGpus) fail(node, "more than " + std::to_string(kMaxGpus) + " GPUs");
          const pugi::xml_node gpu = node.child("gpu");
          gpus_.push_back({node, gpu, bus, host_, whole(gpu, "sm", 10, 999, 0)});
          if (gpus_.back().sm != 0 && sm_ != 0 && gpus_.back().sm != sm_)
            fail(gpu, "GPUs of two kinds (sm " + std::to_string(sm_) + " and " + std::to_string(gpus_.back().sm) +
                          "); expected one kind");
          if (gpus_.back().sm != 0) sm_ = static_cast<uint32_t>(gpus_.back().sm);
        }
      }
      find_gpus(node, depth + 1);
    }
  }

  /// By `rank` or, in a file of one host, by `dev`, where each GPU has one; else as they come.
  void sort_gpus() {
    for (const char* attribute : {"dev", "rank"}) {
      std::set<std::pair<std::string, uint64_t>> seen;
      bool all = true;
      for (const Gpu& gpu : gpus_) {
        if (gpu.gpu.attribute(attribute).empty() || gpu.gpu.attribute(attribute).as_int(0) < 0) {
          all = false;
          continue;
        }
        const uint64_t number = whole(gpu.gpu, attribute, 0, 1 << 20, 0);
        if (!seen.insert({std::string(attribute) == "dev" ? gpu.host : "", number}).second)
          fail(gpu.gpu, std::string(attribute) + " " + std::to_string(number) + " is given twice");
      }
      if (!all) continue;
      std::stable_sort(gpus_.begin(), gpus_.end(), [&](const Gpu& a, const Gpu& b) {
        if (std::string(attribute) == "dev" && a.host != b.host) return false;
        return a.gpu.attribute(attribute).as_uint() < b.gpu.attribute(attribute).as_uint();
      });
    }
  }

  void add_cpu(pugi::xml_node node) {
    const uint32_t vertex = graph_.add(VertexKind::switch_, "cpu" + std::to_string(cpus_.size()), 0);
    const double speed =
        cpu_gb_per_second(node.attribute("arch").value(), node.attribute("vendor").value(),
                          whole(node, "familyid", 0, UINT32_MAX, 0), whole(node, "modelid", 0, UINT32_MAX, 0));
    cpus_.push_back({vertex, node.attribute("host_hash").value(), speed, 0});
    uint32_t gpus = 0;
    for (const pugi::xml_node pci : node.children("pci")) gpus += add_pci(pci, vertex, vertex);
    cpus_.back().gpus = gpus;
  }

  /// Gives how many GPUs are in it.
  uint32_t add_pci(pugi::xml_node pci, uint32_t parent, uint32_t cpu) {
    if (is_gpu(pci)) {
      const uint32_t gpu = vertex_of_.at(pci);
      graph_.connect(parent, gpu, pcie_wire(pci, kToPcieSwitch));
      cpu_of_gpu_[gpu] = cpu;
      return 1;
    }
    if (is_nic(pci)) return add_nic(pci, parent), 0;
    if (has_class(pci, "0x0680")) return 0;  // an NVSwitch's management port
    const uint32_t bridge = graph_.add(VertexKind::switch_, "pci" + std::to_string(bridges_++), 0);
    uint32_t gpus = 0;
    for (const pugi::xml_node below : pci.children("pci")) gpus += add_pci(below, bridge, cpu);
    graph_.connect(parent, bridge, pcie_wire(pci, kBeyondPcieSwitch), std::max(1u, gpus));
    return gpus;
  }

  void add_nic(pugi::xml_node pci, uint32_t parent) {
    Wire wire = pcie_wire(pci, kBeyondPcieSwitch);
    double ports = 0;
    std::string name = "nic" + std::to_string(nics_++);
    for (const pugi::xml_node net : pci.child("nic").children("net")) {
      if (const std::string given = net.attribute("name").value(); !given.empty()) {
        if (ports == 0) name = shown(given);
        if (!nets_.insert(given + " " + net.attribute("port").value()).second)
          fail(net, "name \"" + shown(given) + "\" is given twice");
      }
      ports += static_cast<double>(whole(net, "speed", 1, 100'000'000, 10'000)) / 8000 * 1e9;
    }
    if (ports > 0) wire.bytes_per_second = std::min(wire.bytes_per_second, ports);
    graph_.connect(parent, graph_.add(VertexKind::nic, name, 0), wire);
  }

  void connect_cpus() {
    for (size_t a = 0; a < cpus_.size(); ++a)
      for (size_t b = a + 1; b < cpus_.size(); ++b) {
        if (cpus_[a].host != cpus_[b].host) continue;
        const double speed = std::min(cpus_[a].gb_per_second, cpus_[b].gb_per_second) * 1e9;
        graph_.connect(cpus_[a].vertex, cpus_[b].vertex, {"socket", speed, kBetweenCpus},
                       std::max({1u, cpus_[a].gpus, cpus_[b].gpus}));
      }
  }

  /// One way each; what only one end tells holds for both.
  void add_nvlinks() {
    std::map<std::string, uint32_t> gpu_at;
    for (uint32_t i = 0; i < gpus_.size(); ++i)
      if (!gpus_[i].bus.empty()) gpu_at[gpus_[i].host + " " + gpus_[i].bus] = i;
    std::map<std::pair<uint32_t, uint32_t>, double> pairs;
    std::vector<double> to_switch(gpus_.size(), 0);
    const double per_link = nvlink_bytes_per_second(sm_ != 0 ? sm_ : sm_of_device(kDefaultGpu));
    for (uint32_t i = 0; i < gpus_.size(); ++i) {
      for (const pugi::xml_node link : gpus_[i].gpu.children("nvlink")) {
        const double speed = static_cast<double>(whole(link, "count", 1, 1024, 1)) * per_link;
        const std::string target = link.attribute("target").value(), kind = link.attribute("tclass").value();
        const auto peer = gpu_at.find(gpus_[i].host + " " + target);
        if (peer != gpu_at.end() && peer->second == i) fail(link, "target: a link to the GPU itself");
        if (kind.starts_with("0x068001"))
          connect_to_cpu(i, speed);
        else if (kind.starts_with("0x0680") || target == "fffffff:ffff:ff")
          to_switch[i] += speed;
        else if (peer != gpu_at.end())
          pairs[{i, peer->second}] += speed;
        // Else the other GPU is not in the file.
      }
      // MB/s, as NCCL writes it.
      for (const pugi::xml_node c2c : gpus_[i].gpu.children("c2c"))
        connect_to_cpu(i, static_cast<double>(whole(c2c, "bw", 1, 100'000'000, 1)) *
                              static_cast<double>(whole(c2c, "count", 1, 1024, 1)) * 1e6);
    }
    for (const auto& [ends, speed] : std::map(pairs)) pairs.emplace(std::pair{ends.second, ends.first}, speed);
    for (const auto& [ends, speed] : pairs) graph_.add_link(ends.first, ends.second, {"nvlink", speed, kNvLink});
    if (std::all_of(to_switch.begin(), to_switch.end(), [](double speed) { return speed == 0; })) return;
    has_nvswitch_ = true;
    const uint32_t nvswitch = graph_.add(VertexKind::switch_, "nvswitch", 0);
    for (uint32_t i = 0; i < gpus_.size(); ++i)
      if (to_switch[i] > 0) graph_.connect(i, nvswitch, {"nvlink", to_switch[i], kToNvSwitch});
  }

  void connect_to_cpu(uint32_t gpu, double speed) {
    if (const auto cpu = cpu_of_gpu_.find(gpu); cpu != cpu_of_gpu_.end())
      graph_.connect(gpu, cpu->second, {"c2c", speed, kToPcieSwitch});
  }

  ClusterFile finish() {
    ClusterFile file;
    file.name = std::filesystem::path(file_).stem().string();
    const uint32_t pci_device = static_cast<uint32_t>(whole(gpus_[0].pci, "device", 0, 0xffff, 0));
    std::string device = device_of_sm(sm_, pci_device);
    const std::string guess = device.empty() ? ", taken as " + std::string(kDefaultGpu) : "";
    if (device.empty()) device = kDefaultGpu;
    file.device = find_device(device);
    file.shape = "NCCL topology of " + std::to_string(gpus_.size()) + " GPUs" +
                 (guess.empty() ? "" : " of a kind that it does not name" + guess) +
                 (has_nvswitch_ ? ", NVSwitch" : "") + ", " + std::to_string(nics_) + " NICs";
    file.description = file.shape;
    ShapedGraph shaped;
    shaped.devices = shaped.devices_per_node = static_cast<uint32_t>(gpus_.size());
    shaped.graph = graph_.take();
    shaped.rule = [](uint32_t, uint32_t to, std::span<const uint32_t> links) { return to % links.size(); };
    if (const Unreachable lost = find_unreachable(shaped.graph, shaped.devices); lost.found)
      fail(gpus_[lost.to].pci, "the GPU in it, number " + std::to_string(lost.to) + ", cannot be reached from number " +
                                   std::to_string(lost.from));
    file.graph = std::move(shaped);
    return file;
  }

  const std::string& text_;
  const std::string& file_;
  pugi::xml_document document_;
  GraphBuilder graph_;
  std::vector<Gpu> gpus_;
  std::vector<Cpu> cpus_;
  std::map<pugi::xml_node, uint32_t> vertex_of_;
  std::map<uint32_t, uint32_t> cpu_of_gpu_;
  std::set<std::string> buses_, nets_;
  std::string host_;
  uint32_t sm_ = 0, bridges_ = 0, nics_ = 0;
  size_t elements_ = 0;
  bool has_nvswitch_ = false;
};

}  // namespace

ClusterFile parse_nccl_topology(const std::string& text, const std::string& file_name) {
  return Importer(text, file_name).read();
}

ClusterFile read_nccl_topology(const std::string& path) {
  return parse_nccl_topology(read_text_file(path, kMaxFileBytes), path);
}

}  // namespace pgram
