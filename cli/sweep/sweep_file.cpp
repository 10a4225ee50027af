#include "cli/sweep/sweep_file.h"

#include <algorithm>
#include <filesystem>

#include "cli/sweep/lists.h"
#include "core/base/errors.h"
#include "core/base/json_reader.h"
#include "core/base/library.h"
#include "sim/option_text.h"

namespace pgram::sweep {
namespace {

constexpr uint32_t kMostNumber = 1'000'000'000;  ///< sequences and tokens
constexpr uint32_t kMostNodes = 1 << 18;         ///< and ranks
constexpr uint64_t kMostFileBytes = 16 << 20;

/// Where f() refuses a text, the sweep file's line is put before its message.
template <class F>
void placed(const YamlItem& item, const F& f) {
  try {
    f();
  } catch (const InputError& error) {
    item.fail(error.what());
  }
}

/// It names files and jobs.
std::string read_name(YamlFields& fields) {
  constexpr size_t kLongest = 60;
  const std::string name = fields.text("name");
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (name.empty() || name.size() > kLongest || !std::all_of(name.begin(), name.end(), is_good))
    fields.fail("name", "expected up to " + std::to_string(kLongest) + " letters, digits, '-', '_' and '.'");
  return name;
}

/// Texts of which each must be one of `known`.
std::vector<std::string> read_choices(YamlFields& fields, const std::string& key,
                                      const std::vector<std::string>& known) {
  std::vector<int> lines;
  const std::vector<std::string> values = read_texts(fields, key, &lines);
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::find(known.begin(), known.end(), values[i]) != known.end()) continue;
    std::string list;
    for (const std::string& each : known) list += (list.empty() ? "" : ", ") + each;
    const std::string near = nearest_name(values[i], known);
    throw InputError(fields.file(), lines[i], key,
                     "expected " + list + ", got \"" + values[i].substr(0, 60) + "\"" +
                         (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
  }
  return values;
}

/// 1f1b, gpipe, or files of rows; whether rows suit a layout is found out case by case.
void read_schedules(YamlFields& fields, Sweep& sweep) {
  std::vector<int> lines;
  sweep.schedules = read_texts(fields, "schedules", &lines);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string& name = sweep.schedules[i];
    std::error_code none;
    if (name == "1f1b" || name == "gpipe" || std::filesystem::is_regular_file(name, none)) continue;
    throw InputError(fields.file(), lines[i], "schedules",
                     "expected 1f1b, gpipe or a file of rows, got \"" + name.substr(0, 60) + "\" (no such file)");
  }
}

/// "dgx-h100:64", a path, or {name: dgx-h100, nodes: [8, 16], oversubscription: [1, 2]}.
void read_clusters(YamlFields& fields, Sweep& sweep) {
  const auto add = [&](const YamlItem& item, const std::string& text) {
    if (std::find(sweep.clusters.begin(), sweep.clusters.end(), text) != sweep.clusters.end()) return;
    if (sweep.clusters.size() == kMostValues) item.fail("more than " + std::to_string(kMostValues) + " values");
    sweep.clusters.push_back(text);
    sweep.lines.clusters.push_back(item.line());
  };
  for (const YamlItem& item : need_items(fields, "clusters")) {
    if (!item.is_mapping()) {
      add(item, item.text());
      continue;
    }
    YamlFields cluster = item.fields();
    const std::string name = cluster.text("name");
    const bool has_nodes = cluster.has("nodes"), is_oversubscribed = cluster.has("oversubscription");
    cluster.refuse_unknown();
    if (has_nodes && name.find_first_of(":@") != std::string::npos)
      cluster.fail("name",
                   "expected a name without ':' and '@' where nodes are given, got \"" + name.substr(0, 60) + "\"");
    std::vector<std::string> texts{name};
    if (has_nodes) {
      texts.clear();
      for (const uint32_t nodes : read_whole_numbers(cluster, "nodes", 1, kMostNodes))
        texts.push_back(name + ":" + std::to_string(nodes));
    }
    std::vector<std::string> suffixes{""};
    if (is_oversubscribed) {
      suffixes.clear();
      for (const double factor : read_numbers(cluster, "oversubscription", 1, 64))
        suffixes.push_back("@" + format_number(factor));
    }
    for (const std::string& text : texts)
      for (const std::string& suffix : suffixes) add(item, text + suffix);
  }
}

void read_layouts(YamlFields& fields, Sweep& sweep) {
  const std::vector<YamlItem> items = need_items(fields, "layouts");
  for (const YamlItem& item : items) {
    const std::string text = item.text();
    if (text == "all") {
      if (items.size() > 1) item.fail("\"all\" takes in every other layout and stands alone");
      sweep.all_layouts = true;
      return;
    }
    placed(item, [&] { parse_layout(text); });
  }
  sweep.layouts = read_texts(fields, "layouts");
}

std::vector<std::string> texts_or_none(YamlFields& fields, const std::string& key) {
  return fields.has(key) ? read_texts(fields, key) : std::vector<std::string>{};
}

/// "none", or {name: slow-gpu, slow: "3:1.3", jitter: "0.05:7", link: "n0.nic3>leaf3:0.5@10ms"}.
void read_disturbances(YamlFields& fields, Sweep& sweep) {
  sweep.disturbances.clear();
  for (const YamlItem& item : need_items(fields, "disturbances")) {
    Disturbance disturbance;
    if (item.is_mapping()) {
      YamlFields disturbed = item.fields();
      disturbance.name = disturbed.text("name");
      disturbance.slow = texts_or_none(disturbed, "slow");
      disturbance.links = texts_or_none(disturbed, "link");
      disturbance.jitter = disturbed.text_or("jitter", "");
      disturbed.refuse_unknown();
      placed(item, [&] {  // links can only be known with a cluster
        for (const std::string& slow : disturbance.slow) parse_slow_rank(slow, kMostNodes);
        if (!disturbance.jitter.empty()) parse_jitter(disturbance.jitter);
      });
      if (disturbance.name.empty() || disturbance.name == "none")
        disturbed.fail("name", "expected a name; \"none\" is the undisturbed one");
      if (disturbance.slow.empty() && disturbance.links.empty() && disturbance.jitter.empty())
        item.fail("\"" + disturbance.name + "\" disturbs nothing; expected slow, jitter or link");
    } else if (item.text() != "none") {
      item.fail("expected none or {name: ..., slow: ..., jitter: ..., link: ...}, got \"" + item.text().substr(0, 60) +
                "\"");
    }
    for (const Disturbance& other : sweep.disturbances)
      if (other.name == disturbance.name) item.fail("two are called \"" + disturbance.name + "\"");
    sweep.disturbances.push_back(std::move(disturbance));
  }
}

std::vector<SweepList> lists_of(const Sweep& sweep) {
  return {{"models", sweep.models.size()},
          {"clusters", sweep.clusters.size()},
          {"layouts", sweep.all_layouts ? 0 : sweep.layouts.size()},
          {"schedules", sweep.schedules.size()},
          {"p2p", sweep.p2p.size()},
          {"global_batch", sweep.global_batches.size()},
          {"micro_batch", sweep.micro_batches.size()},
          {"sequence", sweep.sequences.size()},
          {"network", sweep.networks.size()},
          {"disturbances", sweep.disturbances.size()}};
}

}  // namespace

int Sweep::line_of(const std::string& list) const {
  const auto found = lines.lists.find(list);
  return found == lines.lists.end() ? 0 : found->second;
}

std::vector<SweepList> long_lists(const Sweep& sweep) {
  std::vector<SweepList> lists = lists_of(sweep);
  std::erase_if(lists, [](const SweepList& list) { return list.values == 1; });
  return lists;
}

Sweep parse_sweep(const std::string& text, const std::string& path) {
  YamlFields fields = parse_yaml(text, path);
  if (!fields.has("pgram_sweep"))
    fields.fail("pgram_sweep", "missing: expected a file that begins with \"pgram_sweep: 1\"");
  if (const uint64_t version = fields.integer("pgram_sweep", 0, UINT64_MAX); version != 1)
    fields.fail("pgram_sweep",
                "version " + std::to_string(version) + " is not known to this program; it reads version 1");
  for (const char* key : {"name", "description", "models", "clusters", "layouts", "schedules", "p2p", "global_batch",
                          "micro_batch", "sequence", "precision", "optimizer", "disturbances", "network", "filters"})
    fields.has(key);
  fields.refuse_unknown();  // before anything is missed that is only misspelt

  Sweep sweep;
  sweep.path = path;
  sweep.text = text;
  sweep.name = read_name(fields);
  sweep.description = fields.text_or("description", "");
  sweep.models = read_texts(fields, "models", &sweep.lines.models);
  read_clusters(fields, sweep);
  read_layouts(fields, sweep);
  if (fields.has("schedules")) read_schedules(fields, sweep);
  if (fields.has("p2p")) sweep.p2p = read_choices(fields, "p2p", {"channels", "paired"});
  sweep.global_batches = read_whole_numbers(fields, "global_batch", 1, kMostNumber);
  if (fields.has("micro_batch")) sweep.micro_batches = read_whole_numbers(fields, "micro_batch", 1, kMostNumber);
  sweep.sequences = read_whole_numbers(fields, "sequence", 1, kMostNumber);
  if (fields.has("network")) sweep.networks = read_choices(fields, "network", {"analytic", "flow", "step"});
  if (fields.has("disturbances")) read_disturbances(fields, sweep);
  sweep.precision = fields.text_or("precision", "");
  sweep.optimizer = fields.text_or("optimizer", "adamw");
  for (const YamlItem& item : fields.items("precision")) placed(item, [&] { parse_precision(sweep.precision); });
  for (const YamlItem& item : fields.items("optimizer")) placed(item, [&] { parse_optimizer(sweep.optimizer); });
  for (const YamlItem& item : fields.items("filters")) sweep.filters.push_back({item.text(), item.line()});
  for (const SweepList& list : lists_of(sweep))
    if (fields.has(list.key)) sweep.lines.lists[list.key] = fields.items(list.key).front().line();
  return sweep;
}

Sweep read_sweep(const std::string& path) {
  return parse_sweep(read_text_file(path, kMostFileBytes), path);
}

}  // namespace pgram::sweep
