// Device files: data sheet figures people write, and the tables that `pgram calibrate` adds.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/base/errors.h"
#include "core/base/yaml_reader.h"
#include "core/cluster/cluster.h"
#include "core/cluster/library_files.h"

namespace pgram {

constexpr uint64_t kVersion = 1;
constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr uint64_t kMaxWhole = uint64_t{1} << 62;
constexpr double kMaxMicroseconds = 1e12;

static std::string read_name(const YamlRow& row) {
  const std::string name = row.text(0);
  const bool plain = name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (name.empty() || name.size() > 32 || !plain) row.fail("expected the name of an operation first (a-z, 0-9, _)");
  return name;
}

/// `team`: the row names the threads of a device before it says how many devices were busy.
static MeasuredKernel read_kernel(const YamlRow& row, bool team) {
  const size_t busy = team ? 2 : 1;
  if (row.size() < busy + 2 || row.size() > busy + 6)
    row.fail(std::string("expected [kernel, ") + (team ? "threads, " : "") +
             "busy, microseconds, up to four sizes], got " + std::to_string(row.size()) + " values");
  MeasuredKernel kernel;
  kernel.kernel = read_name(row);
  if (team) kernel.threads = static_cast<uint32_t>(row.integer(1, 2, 1 << 20));
  kernel.busy = static_cast<uint32_t>(row.integer(busy, 1, 1 << 20));
  kernel.seconds = row.number(busy + 1, 1e-6, kMaxMicroseconds, -6);
  for (size_t i = busy + 2; i < row.size(); ++i) kernel.shape[i - busy - 2] = row.integer(i, 0, kMaxWhole);
  return kernel;
}

static MeasuredTransfer read_transfer(const YamlRow& row) {
  if (row.size() != 5)
    row.fail("expected [operation, busy, microseconds, ranks, bytes], got " + std::to_string(row.size()) + " values");
  MeasuredTransfer transfer;
  transfer.operation = read_name(row);
  transfer.busy = static_cast<uint32_t>(row.integer(1, 1, 1 << 20));
  transfer.seconds = row.number(2, 1e-6, kMaxMicroseconds, -6);
  transfer.ranks = static_cast<uint32_t>(row.integer(3, 2, 1 << 20));
  transfer.bytes = row.integer(4, 0, kMaxWhole);
  return transfer;
}

static bool read_is_cpu(YamlFields& fields) {
  const std::string kind = fields.text_or("kind", "gpu");
  if (kind != "gpu" && kind != "cpu") fields.fail("kind", "expected gpu or cpu, got \"" + kind.substr(0, 20) + "\"");
  return kind == "cpu";
}

static Device::Fitted read_fitted(YamlFields& fields) {
  Device::Fitted fitted;
  std::istringstream words(fields.text_or("fitted", ""));
  for (std::string word; words >> word;) {
    if (word == "matmul") {
      fitted.matmul = true;
    } else if (word == "attention") {
      fitted.attention = true;
    } else if (word == "memory") {
      fitted.memory = true;
    } else {
      fields.fail("fitted", "expected words of matmul, attention and memory, got \"" + word.substr(0, 20) + "\"");
    }
  }
  return fitted;
}

static std::string text_of(const Device::Fitted& fitted) {
  std::string text;
  for (const auto& [is_fitted, word] :
       {std::pair(fitted.matmul, "matmul"), {fitted.attention, "attention"}, {fitted.memory, "memory"}}) {
    if (is_fitted) text += (text.empty() ? "" : " ") + std::string(word);
  }
  return text;
}

static Device::Watts read_watts(YamlFields fields) {
  Device::Watts watts;
  watts.idle = fields.number("idle", 1e-3, 1e6);
  for (const auto& [key, value] : {std::pair("compute", &watts.compute), {"communication", &watts.communication}}) {
    *value = fields.number(key, 1e-3, 1e6);
    if (*value < watts.idle) fields.fail(key, "expected at least the " + format_number(watts.idle) + " of idle");
  }
  fields.refuse_unknown();
  return watts;
}

Device read_device(const std::string& path) {
  YamlFields fields = read_yaml(path);
  refuse_version(fields, "pgram_device", kVersion);
  Device device;
  device.name = fields.text("name");
  device.source = fields.text("source");
  device.is_cpu = read_is_cpu(fields);
  device.memory_bytes = static_cast<Bytes>(std::llround(fields.number("memory_gib", 1e-3, 1e6) * kGiB));
  device.memory_bytes_per_second = fields.number("memory_bandwidth_gb_per_s", 1e-3, 1e6, 9);
  device.fp32_flops_per_second = fields.number("fp32_tflops", 1e-6, 1e6, 12);
  device.bf16_flops_per_second = fields.number("bf16_tflops", 1e-6, 1e6, 12);
  device.matmul_efficiency = fields.number("matmul_efficiency", 1e-3, 1);
  device.attention_efficiency = fields.number("attention_efficiency", 1e-3, 1);
  device.memory_efficiency = fields.number("memory_efficiency", 1e-3, 1);
  device.fitted = read_fitted(fields);
  device.launch_seconds = fields.number("launch_us", 0, 1e6, -6);
  device.sms = static_cast<uint32_t>(fields.integer_or("sms", 1, 4096, 0));
  if (fields.has("watts")) device.watts = read_watts(fields.fields("watts"));
  if (device.is_cpu) {
    device.copy_bytes_per_second = fields.number("copy_gb_per_s", 1e-3, 1e6, 9);
    device.transfer_latency_seconds = fields.number("transfer_latency_us", 0, 1e6, -6);
  }
  for (const bool team : {false, true}) {
    const auto rows = fields.rows(team ? "measured_team_kernels" : "measured_kernels");
    device.kernels.reserve(device.kernels.size() + rows.size());
    for (const YamlRow& row : rows) device.kernels.push_back(read_kernel(row, team));
  }
  const auto transfer_rows = fields.rows("measured_transfers");
  device.transfers.reserve(transfer_rows.size());
  for (const YamlRow& row : transfer_rows) device.transfers.push_back(read_transfer(row));
  fields.refuse_unknown();
  return device;
}

Device find_device(const std::string& name_or_path) {
  if (is_path(name_or_path)) return read_device(name_or_path);
  return read_device(library_file("devices", name_or_path, "device"));
}

/// A double-quoted YAML value.
static std::string quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    char escaped[8];
    if (c == '"' || c == '\\')
      quoted += '\\', quoted += c;
    else if (static_cast<unsigned char>(c) < 0x20)
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c)), quoted += escaped;
    else
      quoted += c;
  }
  return quoted + "\"";
}

static std::string row_of(const MeasuredKernel& kernel) {
  size_t sizes = kernel.shape.size();
  while (sizes > 0 && kernel.shape[sizes - 1] == 0) --sizes;
  std::string row = "  - [" + kernel.kernel + ", ";
  if (kernel.threads > 1) row += std::to_string(kernel.threads) + ", ";
  row += std::to_string(kernel.busy) + ", " + format_number(kernel.seconds, -6);
  for (size_t i = 0; i < sizes; ++i) row += ", " + std::to_string(kernel.shape[i]);
  return row + "]\n";
}

static std::string row_of(const MeasuredTransfer& transfer) {
  return "  - [" + transfer.operation + ", " + std::to_string(transfer.busy) + ", " +
         format_number(transfer.seconds, -6) + ", " + std::to_string(transfer.ranks) + ", " +
         std::to_string(transfer.bytes) + "]\n";
}

static std::string to_yaml(const Device& device) {
  std::string text = "pgram_device: " + std::to_string(kVersion) + "\n";
  const auto line = [&](const char* key, const std::string& value) { text += std::string(key) + ": " + value + "\n"; };
  line("name", quote(device.name));
  line("source", quote(device.source));
  line("kind", device.is_cpu ? "cpu" : "gpu");
  line("memory_gib", format_number(static_cast<double>(device.memory_bytes) / kGiB));
  line("memory_bandwidth_gb_per_s", format_number(device.memory_bytes_per_second, 9));
  line("fp32_tflops", format_number(device.fp32_flops_per_second, 12));
  line("bf16_tflops", format_number(device.bf16_flops_per_second, 12));
  line("matmul_efficiency", format_number(device.matmul_efficiency));
  line("attention_efficiency", format_number(device.attention_efficiency));
  line("memory_efficiency", format_number(device.memory_efficiency));
  if (const std::string fitted = text_of(device.fitted); !fitted.empty()) line("fitted", fitted);
  line("launch_us", format_number(device.launch_seconds, -6));
  if (device.sms) line("sms", std::to_string(device.sms));
  if (device.watts.known()) {
    line("watts", "{idle: " + format_number(device.watts.idle) + ", compute: " + format_number(device.watts.compute) +
                      ", communication: " + format_number(device.watts.communication) + "}");
  }
  if (device.is_cpu) {
    line("copy_gb_per_s", format_number(device.copy_bytes_per_second, 9));
    line("transfer_latency_us", format_number(device.transfer_latency_seconds, -6));
  }
  std::string single, team;
  for (const MeasuredKernel& kernel : device.kernels) (kernel.threads > 1 ? team : single) += row_of(kernel);
  if (!single.empty())
    text += "# kernel, devices busy with it at once, microseconds, sizes\nmeasured_kernels:\n" + single;
  if (!team.empty())
    text += "# kernel, threads of a device, devices busy at once, microseconds, sizes\nmeasured_team_kernels:\n" + team;
  if (!device.transfers.empty())
    text += "# operation, groups busy with it at once, microseconds, ranks, bytes\nmeasured_transfers:\n";
  for (const MeasuredTransfer& transfer : device.transfers) text += row_of(transfer);
  return text;
}

void write_device(const Device& device, const std::string& path) {
  const std::string temporary = path + ".new";
  std::ofstream file(temporary, std::ios::binary);
  file << to_yaml(device);
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (!file || error) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw InputError(path, 0, "", "cannot be written; choose a folder that exists and may be written to");
  }
}

}  // namespace pgram
