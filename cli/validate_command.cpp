// pgram validate: predictions beside what others measured.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "cli/command.h"
#include "cli/measured_collectives.h"
#include "core/base/units.h"

namespace pgram::cli {
namespace {

struct Flags {
  std::string what, file;
  bool rows = false, json = false;
};

struct Predicted {
  MeasuredCollective measured;
  CollectiveCost cost;
  double error() const { return cost.time(measured.bytes) / measured.seconds - 1; }
};

/// Of the errors of some rows.
struct Errors {
  std::vector<double> values;

  static double quantile(std::vector<double> sorted, double share) {
    std::sort(sorted.begin(), sorted.end());
    const double place = share * static_cast<double>(sorted.size() - 1);
    const size_t below = static_cast<size_t>(place), above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
  }
  double median() const { return quantile(values, 0.5); }
  double absolute(double share) const {
    std::vector<double> positive;
    for (const double value : values) positive.push_back(std::abs(value));
    return quantile(std::move(positive), share);
  }
};

struct Range {
  const char* name;
  Bytes end;
};
constexpr Range kRanges[] = {
    {"< 64 KiB", Bytes{1} << 16}, {"< 1 MiB", Bytes{1} << 20}, {"< 64 MiB", Bytes{1} << 26}, {">= 64 MiB", ~Bytes{0}}};

size_t range_of(Bytes bytes) {
  return static_cast<size_t>(
      std::find_if(std::begin(kRanges), std::end(kRanges), [&](const Range& range) { return bytes < range.end; }) -
      std::begin(kRanges));
}

/// "dgx-h100", devices, operation, range.
using Key = std::tuple<std::string, uint32_t, std::string, size_t>;

std::vector<Predicted> predict(const std::vector<MeasuredCollective>& rows) {
  std::map<std::string, Cluster> clusters;
  std::vector<Predicted> predicted;
  for (const MeasuredCollective& row : rows) {
    auto at = clusters.find(row.cluster);
    if (at == clusters.end()) at = clusters.emplace(row.cluster, find_cluster(row.cluster)).first;
    const std::vector<uint32_t> group = row.group(at->second);
    predicted.push_back({row, choose_collective(row.collective, row.bytes, group, at->second)});
  }
  return predicted;
}

std::map<Key, Errors> group_errors(const std::vector<Predicted>& predicted) {
  std::map<Key, Errors> groups;
  for (const Predicted& p : predicted) {
    const Key key{p.measured.cluster, p.measured.ranks, p.measured.operation, range_of(p.measured.bytes)};
    groups[key].values.push_back(p.error());
  }
  return groups;
}

std::string percent(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.1f %%", 100 * value);
  return text;
}

void print_errors(const Errors& errors) {
  std::printf("%6zu %10.1f %% %8.1f %% %12s\n", errors.values.size(), 100 * errors.absolute(0.5),
              100 * errors.absolute(0.9), percent(errors.median()).c_str());
}

void print_rows(const std::vector<Predicted>& predicted) {
  std::printf("%-12s %7s %-20s %14s %14s %14s %9s  %s\n", "cluster", "devices", "operation", "bytes", "measured",
              "predicted", "error", "chosen; row");
  for (const Predicted& p : predicted) {
    std::printf("%-12s %7u %-20s %14s %14s %14s %9s  %s %s; %s\n", p.measured.cluster.c_str(), p.measured.ranks,
                p.measured.operation.c_str(), format_count(p.measured.bytes).c_str(),
                format_time(to_picoseconds(p.measured.seconds)).c_str(),
                format_time(to_picoseconds(p.cost.time(p.measured.bytes))).c_str(), percent(p.error()).c_str(),
                name_of(p.cost.algorithm), name_of(p.cost.protocol), p.measured.id.c_str());
  }
  std::printf("\n");
}

void print_table(const std::vector<Predicted>& predicted) {
  std::printf("%-12s %7s %-20s %-10s %6s %12s %10s %12s\n", "cluster", "devices", "operation", "size", "rows",
              "median |e|", "p90 |e|", "median e");
  for (const auto& [key, errors] : group_errors(predicted)) {
    std::printf("%-12s %7u %-20s %-10s ", std::get<0>(key).c_str(), std::get<1>(key), std::get<2>(key).c_str(),
                kRanges[std::get<3>(key)].name);
    print_errors(errors);
  }
  std::map<std::string, Errors> together;
  for (const Predicted& p : predicted) {
    together[p.measured.operation].values.push_back(p.error());
    together["trust " + std::string(1, p.measured.trust)].values.push_back(p.error());
    together["~"].values.push_back(p.error());  // after all others
  }
  std::printf("\n");
  for (const auto& [name, errors] : together) {
    std::printf("%-52s ", ("all: " + (name == "~" ? "rows" : name)).c_str());
    print_errors(errors);
  }
}

void print_left_out(const MeasuredCollectives& measured) {
  std::printf("\n%zu of %u rows used. Left out:\n", measured.rows.size(), measured.total);
  for (const auto& [reason, rows] : measured.left_out) std::printf("%6u  %s\n", rows, reason.c_str());
  std::printf("\ne = predicted / measured - 1, with the options that `pgram collective` has without flags.\n");
}

nlohmann::ordered_json to_json(const Errors& errors) {
  return {{"rows", errors.values.size()},
          {"median_absolute", errors.absolute(0.5)},
          {"p90_absolute", errors.absolute(0.9)},
          {"median", errors.median()}};
}

void print_json(const std::string& file, const MeasuredCollectives& measured, const std::vector<Predicted>& predicted,
                bool rows) {
  nlohmann::ordered_json out;
  out["file"] = file;
  out["rows"] = measured.total;
  out["rows_used"] = predicted.size();
  Errors all;
  for (const Predicted& p : predicted) all.values.push_back(p.error());
  if (!all.values.empty()) out["error"] = to_json(all);
  out["groups"] = nlohmann::ordered_json::array();
  for (const auto& [key, errors] : group_errors(predicted)) {
    nlohmann::ordered_json group{{"cluster", std::get<0>(key)},
                                 {"devices", std::get<1>(key)},
                                 {"operation", std::get<2>(key)},
                                 {"size", kRanges[std::get<3>(key)].name}};
    group.update(to_json(errors));
    out["groups"].push_back(std::move(group));
  }
  out["left_out"] = nlohmann::ordered_json::array();
  for (const auto& [reason, count] : measured.left_out)
    out["left_out"].push_back({{"reason", reason}, {"rows", count}});
  for (const Predicted& p : predicted) {
    if (!rows) break;
    out["predictions"].push_back({{"id", p.measured.id},
                                  {"source", p.measured.source},
                                  {"trust", std::string(1, p.measured.trust)},
                                  {"cluster", p.measured.cluster},
                                  {"devices", p.measured.ranks},
                                  {"operation", p.measured.operation},
                                  {"bytes", p.measured.bytes},
                                  {"measured_seconds", p.measured.seconds},
                                  {"predicted_seconds", p.cost.time(p.measured.bytes)},
                                  {"algorithm", name_of(p.cost.algorithm)},
                                  {"protocol", name_of(p.cost.protocol)},
                                  {"error", p.error()}});
  }
  std::printf("%s\n", out.dump(2).c_str());
}

int run(const Flags& flags) {
  if (flags.what != "collectives")
    throw InputError("WHAT", "expected collectives, got \"" + flags.what.substr(0, 40) + "\"");
  const std::string file = flags.file.empty() ? find_measured_collectives() : flags.file;
  const MeasuredCollectives measured = read_measured_collectives(file);
  const std::vector<Predicted> predicted = predict(measured.rows);
  if (flags.json) {
    print_json(file, measured, predicted, flags.rows);
    return kGood;
  }
  if (flags.rows) print_rows(predicted);
  print_table(predicted);
  print_left_out(measured);
  return kGood;
}

}  // namespace

void add_validate_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "validate", "Compare predictions with what others measured",
                                 "pgram validate collectives", exit_code, [=] { return run(*flags); });
  command->add_option("WHAT", flags->what, "collectives: collectives by size, devices and nodes")->required();
  command->add_option(
      "FILE", flags->file,
      "Measured rows, JSON or JSON in gzip (default: ../shared/reference/measured/collectives.json.gz)");
  command->add_flag("--rows", flags->rows, "Every row, not only the errors by group");
  command->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
