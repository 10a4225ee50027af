#include "cli/scale_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/units.h"
#include "core/timeline/text_table.h"

namespace pgram::cli {
namespace {

using nlohmann::ordered_json;
using sweep::ComputePoint;
using sweep::MemoryPart;
using sweep::MemoryPoint;
using sweep::TimePart;

std::string digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 1 ? "%.3g" : value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
  return text;
}

/// "149 B", "1.20 T".
std::string count_of(double parameters) {
  return parameters < 1e9    ? digits(parameters / 1e6) + " M"
         : parameters < 1e12 ? digits(parameters / 1e9) + " B"
                             : digits(parameters / 1e12) + " T";
}

std::string flops_of(double flops) {
  return flops < 1e15   ? digits(flops / 1e12) + " TFLOP/s"
         : flops < 1e18 ? digits(flops / 1e15) + " PFLOP/s"
                        : digits(flops / 1e18) + " EFLOP/s";
}

std::string layout_of(const Layout& layout, const Workload& work) {
  return to_text(layout) + " mb" + std::to_string(work.micro_batch);
}

/// The parts that count, the largest first: "bubble 12.3 %, memory 4.0 %". `least`: what is not worth a word.
template <class Part, size_t n>
std::string largest_parts(const std::array<double, n>& shares, double least, size_t most) {
  std::vector<size_t> order;
  for (size_t i = 0; i < n; ++i) {
    if (std::abs(shares[i]) >= least) order.push_back(i);
  }
  std::ranges::stable_sort(order, std::ranges::greater(), [&](size_t i) { return std::abs(shares[i]); });
  std::string text;
  for (size_t i = 0; i < std::min(most, order.size()); ++i) {
    text += (i ? ", " : "") + std::string(name_of(static_cast<Part>(order[i])).name) + " " +
            format_percent(shares[order[i]]);
  }
  return text.empty() ? "-" : text;
}

/// A table whose rows end with a text, which stands to the left.
class Table {
 public:
  void add(std::vector<std::string> cells, const std::string& text) {
    cells_.add(std::move(cells));
    texts_.push_back(text);
  }
  std::string text() const {
    std::istringstream lines(cells_.text());
    std::string all, line;
    for (const std::string& text : texts_) {
      std::getline(lines, line);
      all += text.empty() ? line + "\n" : line + "  " + text + "\n";
    }
    return all;
  }

 private:
  TextTable cells_;
  std::vector<std::string> texts_;
};

std::string memory_table(const std::vector<MemoryPoint>& points) {
  Table table;
  table.add({"GPUs", "largest", "layers x hidden", "ideal", "of ideal", "layout"}, "what takes the rest of the memory");
  for (const MemoryPoint& point : points) {
    const std::string gpus = format_count(point.gpus);
    if (!point.fits) {
      table.add({gpus, "none fits", "", count_of(point.ideal_parameters), "", ""}, "");
      continue;
    }
    std::array<double, sweep::kMemoryParts> shares{};
    double all = 0;
    for (const uint64_t bytes : point.bytes) all += static_cast<double>(bytes);
    for (int i = 0; i < sweep::kMemoryParts; ++i) shares[i] = static_cast<double>(point.bytes[i]) / all;
    shares[static_cast<size_t>(MemoryPart::parameters)] = 0;
    table.add({gpus, count_of(static_cast<double>(point.parameters)),
               std::to_string(point.model.layers) + " x " + std::to_string(point.model.hidden),
               count_of(point.ideal_parameters),
               format_percent(static_cast<double>(point.parameters) / point.ideal_parameters), to_text(point.layout)},
              largest_parts<MemoryPart>(shares, 0.005, 3));
  }
  return table.text();
}

std::string compute_table(const std::vector<ComputePoint>& points) {
  Table table;
  table.add({"GPUs", "sequences", "step", "model FLOP/s", "ideal", "of ideal", "MFU", "layout"},
            "gap to ideal: share of the GPUs lost to");
  for (const ComputePoint& point : points) {
    const std::string gpus = format_count(point.gpus), batch = format_count(point.workload.global_batch);
    if (!point.unfit.empty()) {
      table.add({gpus, batch, "-", "-", "-", "-", "-", "-"}, point.unfit);
      continue;
    }
    sweep::TimeParts shares = point.lost;
    for (double& share : shares) share /= point.gpus;
    table.add(
        {gpus, batch, format_time(to_picoseconds(point.step_seconds)), flops_of(point.flops_per_second),
         flops_of(point.ideal_flops_per_second), format_percent(point.flops_per_second / point.ideal_flops_per_second),
         format_percent(point.model_flops_utilisation), layout_of(point.layout, point.workload)},
        largest_parts<TimePart>(shares, 0.002, 4));
  }
  return table.text();
}

/// Of the last point that fits: what the layout would be if memory were no limit.
std::string memory_sentence(const std::vector<ComputePoint>& points) {
  const auto last = std::find_if(points.rbegin(), points.rend(), [](const ComputePoint& p) { return p.unfit.empty(); });
  if (last == points.rend() || last->lost_to_memory() < 0.002 * last->gpus) return "";
  return "Memory chooses the layout: with room for it, " + layout_of(last->unlimited.layout, last->unlimited.workload) +
         " would do on " + format_count(static_cast<uint64_t>(last->gpus - last->lost_to_memory() + 0.5)) +
         " GPUs what takes " + format_count(last->gpus) + " now.\n";
}

template <class Part, size_t n, class Value>
ordered_json by_part(const std::array<Value, n>& values) {
  ordered_json json = ordered_json::object();
  for (size_t i = 0; i < n; ++i) json[name_of(static_cast<Part>(i)).name] = values[i];
  return json;
}

ordered_json to_json(const MemoryPoint& point) {
  ordered_json json{{"gpus", point.gpus}, {"ideal_parameters", point.ideal_parameters}};
  if (!point.fits) {
    json["unfit"] = "no model of the family fits";
    return json;
  }
  json["parameters"] = point.parameters;
  json["of_ideal"] = static_cast<double>(point.parameters) / point.ideal_parameters;
  json["layers"] = point.model.layers;
  json["hidden"] = point.model.hidden;
  json["heads"] = point.model.heads;
  json["ffn"] = point.model.ffn;
  json["layout"] = to_text(point.layout);
  json["micro_batch"] = point.workload.micro_batch;
  json["bytes"] = by_part<MemoryPart>(point.bytes);
  return json;
}

ordered_json to_json(const ComputePoint& point) {
  ordered_json json{{"gpus", point.gpus},
                    {"cluster", point.cluster},
                    {"global_batch", point.workload.global_batch},
                    {"ideal_flops_per_second", point.ideal_flops_per_second},
                    {"layouts_legal", point.legal},
                    {"layouts_simulated", point.simulated}};
  if (!point.unfit.empty()) {
    json["unfit"] = point.unfit;
    return json;
  }
  json["layout"] = to_text(point.layout);
  json["micro_batch"] = point.workload.micro_batch;
  json["step_seconds"] = point.step_seconds;
  json["tokens_per_second"] = point.tokens_per_second;
  json["flops_per_second"] = point.flops_per_second;
  json["of_ideal"] = point.flops_per_second / point.ideal_flops_per_second;
  json["model_flops_utilisation"] = point.model_flops_utilisation;
  json["memory_bytes"] = point.memory_bytes;
  json["dollars_per_million_tokens"] = point.dollars_per_million_tokens;
  json["seconds"] = by_part<TimePart>(point.seconds);
  json["lost_gpus"] = by_part<TimePart>(point.lost);
  json["without_memory_limit"] = {{"layout", to_text(point.unlimited.layout)},
                                  {"micro_batch", point.unlimited.workload.micro_batch},
                                  {"step_seconds", point.unlimited.time.seconds},
                                  {"gpus_to_spare", point.lost_to_memory()}};
  return json;
}

template <class Point>
ordered_json list(const std::vector<Point>& points) {
  ordered_json json = ordered_json::array();
  for (const Point& point : points) json.push_back(to_json(point));
  return json;
}

const char* network_of(const sweep::ScaleQuestion& question) {
  return question.search.network == NetworkLevel::analytic ? "analytic" : "flow";
}

}  // namespace

std::string scale_to_text(const sweep::ScaleQuestion& question, const sweep::ScaleAnswer& answer) {
  const Workload& work = question.workload;
  std::string text = question.model + " on " + question.cluster + ": " + format_count(work.sequence) +
                     " tokens a sequence, " + name_of(work.precision) + ", " + name_of(work.optimizer) + ", network " +
                     network_of(question) + "\n\n";
  text +=
      "Twice the GPUs, twice the model? The largest of its family that some layout fits into memory;\n"
      "ideal: all memory over the " +
      std::to_string(sweep::state_bytes(work)) +
      " bytes that a parameter takes with its gradient and optimizer state\n";
  text += memory_table(answer.memory);
  if (!answer.strong.empty()) {
    text += "\nTwice the GPUs, twice as fast? The same step on more GPUs (strong scaling)\n";
    text += compute_table(answer.strong) + memory_sentence(answer.strong);
  }
  if (!answer.weak.empty()) {
    text += "\nTwice the GPUs, twice the work in the same time? " +
            digits(static_cast<double>(work.global_batch) / question.gpus.back()) + " sequences a GPU (weak scaling)\n";
    text += compute_table(answer.weak) + memory_sentence(answer.weak);
  }
  size_t legal = 0, simulated = 0;
  for (const auto* points : {&answer.strong, &answer.weak}) {
    for (const ComputePoint& point : *points) legal += point.legal, simulated += point.simulated;
  }
  if (legal) {
    text += "\n" + format_count(simulated) + " of " + format_count(legal) +
            " layouts simulated; the others do not fit or cannot win. Ideal lines go through the first row that fits; "
            "shares add up to the gap, a negative one is less than in that row.\n";
  }
  if (answer.stopped) text += "stopped: what is missing was not looked at\n";
  return text;
}

nlohmann::ordered_json scale_to_json(const sweep::ScaleQuestion& question, const sweep::ScaleAnswer& answer) {
  const Workload& work = question.workload;
  return {{"model", question.model},
          {"cluster", question.cluster},
          {"sequence", work.sequence},
          {"precision", name_of(work.precision)},
          {"optimizer", name_of(work.optimizer)},
          {"network", network_of(question)},
          {"bytes_per_parameter", sweep::state_bytes(work)},
          {"stopped", answer.stopped},
          {"memory", list(answer.memory)},
          {"strong", list(answer.strong)},
          {"weak", list(answer.weak)}};
}

std::string scale_to_csv(const sweep::ScaleAnswer& answer) {
  std::ostringstream csv;
  csv.precision(17);
  csv << "promise,gpus,unfit,layout,micro_batch,global_batch,value,ideal,step_seconds,model_flops_utilisation";
  for (int i = 0; i < sweep::kMemoryParts; ++i) csv << ",bytes: " << name_of(static_cast<MemoryPart>(i)).name;
  for (int i = 0; i < sweep::kTimeParts; ++i) csv << ",lost: " << name_of(static_cast<TimePart>(i)).name;
  csv << '\n';
  const std::string no_bytes(sweep::kMemoryParts, ','), no_times(sweep::kTimeParts, ',');
  for (const MemoryPoint& point : answer.memory) {
    csv << "memory," << point.gpus << ',';
    if (!point.fits) {
      csv << "no model of the family fits,,,,," << point.ideal_parameters << ",," << no_bytes << no_times << '\n';
      continue;
    }
    csv << ',' << to_text(point.layout) << ',' << point.workload.micro_batch << ',' << point.workload.global_batch
        << ',' << point.parameters << ',' << point.ideal_parameters << ",,";
    for (const uint64_t bytes : point.bytes) csv << ',' << bytes;
    csv << no_times << '\n';
  }
  for (const auto* points : {&answer.strong, &answer.weak}) {
    for (const ComputePoint& point : *points) {
      csv << (points == &answer.strong ? "strong," : "weak,") << point.gpus << ',' << point.unfit;
      if (!point.unfit.empty()) {
        csv << ",,," << point.workload.global_batch << ",," << point.ideal_flops_per_second << ",," << no_bytes
            << no_times << '\n';
        continue;
      }
      csv << ',' << to_text(point.layout) << ',' << point.workload.micro_batch << ',' << point.workload.global_batch
          << ',' << point.flops_per_second << ',' << point.ideal_flops_per_second << ',' << point.step_seconds << ','
          << point.model_flops_utilisation << no_bytes;
      for (const double lost : point.lost) csv << ',' << lost;
      csv << '\n';
    }
  }
  return csv.str();
}

}  // namespace pgram::cli
