#include "tests/sweep_engines/support/manifest.h"

#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <regex>
#include <set>

namespace pgram::engines {
namespace {

enum class Type : uint8_t { string, integer, boolean, list, map, other };

/// As Kubernetes' YAML, of version 1.1, reads a scalar: quoted ones are strings, whatever is in them.
Type type_of(const YAML::Node& node) {
  if (node.IsSequence()) return Type::list;
  if (node.IsMap()) return Type::map;
  if (!node.IsScalar()) return Type::other;
  if (node.Tag() == "!") return Type::string;
  static const std::regex kInteger("[-+]?[0-9]+"),
      kBoolean("[tT]rue|TRUE|[fF]alse|FALSE|[yY]es|YES|[nN]o|NO|[oO]n|ON|[oO]ff|OFF|[yYnN]"),
      kOther(
          "~|null|Null|NULL|[-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|"
          "NAN)|");
  const std::string& text = node.Scalar();
  if (std::regex_match(text, kInteger)) return Type::integer;
  if (std::regex_match(text, kBoolean)) return Type::boolean;
  return std::regex_match(text, kOther) ? Type::other : Type::string;
}

const char* name_of(Type type) {
  constexpr const char* kNames[] = {"a string", "an integer", "a boolean", "a list", "a map", "another type"};
  return kNames[static_cast<size_t>(type)];
}

bool matches(const std::string& text, const char* pattern) {
  return std::regex_match(text, std::regex(pattern));
}
/// RFC 1123: what may be a host's name.
bool is_label(const std::string& text) {
  return text.size() <= 63 && matches(text, "[a-z0-9]([-a-z0-9]*[a-z0-9])?");
}
bool is_subdomain(const std::string& text) {
  return text.size() <= 253 && matches(text, R"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)");
}
/// resource.Quantity, above zero.
bool is_quantity(const std::string& text) {
  return matches(text, R"(([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]+)?)") &&
         text.find_first_of("123456789") != std::string::npos;
}

/// A document under check.
class Document {
 public:
  Document(const YAML::Node& node, std::vector<std::string>& problems) : node_(node), problems_(problems) {}

  const YAML::Node& node() const { return node_; }
  std::string kind() const { return text(node_["kind"]); }
  std::string name() const { return node_["metadata"].IsMap() ? text(node_["metadata"]["name"]) : ""; }
  void say(const std::string& path, const std::string& what) {
    problems_.push_back(kind() + " " + name() + ": " + path + ": " + what);
  }

  using Check = std::function<void(const YAML::Node&, const std::string& path)>;
  struct Field {
    Type type;
    bool required;
    Check check;
  };
  /// A map of known fields, each of its type.
  void fields(const YAML::Node& map, const std::string& path, const std::map<std::string, Field>& known) {
    const std::string before = path.empty() ? "" : path + ".";
    std::set<std::string> seen;
    for (const auto& entry : map) {
      const std::string key = text(entry.first);
      const auto field = known.find(key);
      if (!seen.insert(key).second) say(before + key, "is there twice");
      if (field == known.end()) {
        say(before + key, "unknown field");
      } else if (const Type type = type_of(entry.second); type != field->second.type) {
        say(before + key, std::string("expected ") + name_of(field->second.type) + ", got " + name_of(type));
      } else if (field->second.check) {
        field->second.check(entry.second, before + key);
      }
    }
    for (const auto& [key, field] : known)
      if (field.required && !seen.contains(key)) say(before + key, "required");
  }
  Check that(const std::function<bool(const std::string&)>& good, const std::string& expected) {
    return [=, this](const YAML::Node& node, const std::string& path) {
      if (!good(text(node))) say(path, "expected " + expected + ", got '" + text(node) + "'");
    };
  }
  Check one_of(const std::set<std::string>& values) {
    std::string all;
    for (const std::string& value : values) all += (all.empty() ? "" : " or ") + value;
    return that([=](const std::string& text) { return values.contains(text); }, all);
  }
  Check between(int64_t least, int64_t most) {
    return that(
        [=](const std::string& text) {
          try {
            return std::stoll(text) >= least && std::stoll(text) <= most;
          } catch (const std::exception&) {
            return false;
          }
        },
        std::to_string(least) + " to " + std::to_string(most));
  }
  Check map_of(const std::map<std::string, Field>& known) {
    return [=, this](const YAML::Node& node, const std::string& path) { fields(node, path, known); };
  }
  /// Not empty.
  Check list_of(Type type, const Check& check = {}) {
    return [=, this](const YAML::Node& node, const std::string& path) {
      if (node.size() == 0) say(path, "must not be empty");
      for (size_t i = 0; i < node.size(); ++i) {
        const std::string place = path + "[" + std::to_string(i) + "]";
        if (const Type is = type_of(node[i]); is != type)
          say(place, std::string("expected ") + name_of(type) + ", got " + name_of(is));
        else if (check)
          check(node[i], place);
      }
    };
  }

  static std::string text(const YAML::Node& node) { return node && node.IsScalar() ? node.Scalar() : ""; }

 private:
  const YAML::Node node_;
  std::vector<std::string>& problems_;
};

using Fields = std::map<std::string, Document::Field>;

Document::Field metadata(Document& d) {
  return {Type::map, true,
          d.map_of({{"name", {Type::string, true, d.that(is_subdomain, "a DNS name of lower-case letters")}}})};
}

/// Amounts by resource. A number without quotes is taken too.
Document::Check quantities(Document& d) {
  return [&d](const YAML::Node& node, const std::string& path) {
    for (const auto& entry : node) {
      const std::string name = Document::text(entry.first), amount = Document::text(entry.second);
      if (!std::set<std::string>{"cpu", "memory", "storage"}.contains(name))
        d.say(path + "." + name, "unknown resource");
      if (!is_quantity(amount)) d.say(path + "." + name, "expected a quantity, got '" + amount + "'");
    }
  };
}

Document::Field resources(Document& d, bool required) {
  return {
      Type::map, required,
      d.map_of({{"requests", {Type::map, required, quantities(d)}}, {"limits", {Type::map, false, quantities(d)}}})};
}

struct Named {
  std::set<std::string> config_maps, claims;
};

void check_pod(Document& d, const YAML::Node& pod, const std::string& path, const Named& named) {
  const Document::Check label = d.that(is_label, "a DNS label");
  std::set<std::string> volumes;
  const auto exists = [&](const std::set<std::string>& names, const std::string& what) {
    return d.that([names](const std::string& name) { return names.contains(name); }, "a " + what + " of this file");
  };
  const Fields volume{
      {"name", {Type::string, true, label}},
      {"configMap",
       {Type::map, false, d.map_of({{"name", {Type::string, true, exists(named.config_maps, "ConfigMap")}}})}},
      {"persistentVolumeClaim",
       {Type::map, false,
        d.map_of({{"claimName", {Type::string, true, exists(named.claims, "PersistentVolumeClaim")}}})}}};
  for (const YAML::Node& one : pod["volumes"]) {
    const std::string name = one.IsMap() ? Document::text(one["name"]) : "";
    if (!volumes.insert(name).second) d.say(path + ".volumes", "'" + name + "' is there twice");
    if (one.IsMap() && one.size() != 2) d.say(path + ".volumes", "'" + name + "' needs exactly one source");
  }
  std::set<std::string> places;
  const Document::Check new_place = [&](const YAML::Node& node, const std::string& where) {
    const std::string place = Document::text(node);
    if (place.empty() || place.find(':') != std::string::npos) d.say(where, "expected a path without ':'");
    if (!places.insert(place).second) d.say(where, "'" + place + "' is used twice");
  };
  const Fields mount{{"name", {Type::string, true, exists(volumes, "volume")}},
                     {"mountPath", {Type::string, true, new_place}}};
  const Fields container{
      {"name", {Type::string, true, label}},
      {"image",
       {Type::string, true,
        d.that(
            [](const std::string& text) { return !text.empty() && text.find_first_of(" \t\n") == std::string::npos; },
            "an image without blanks")}},
      {"command", {Type::list, false, d.list_of(Type::string)}},
      {"args", {Type::list, false, d.list_of(Type::string)}},
      {"resources", resources(d, false)},
      {"volumeMounts", {Type::list, false, d.list_of(Type::map, d.map_of(mount))}}};
  d.fields(pod, path,
           {{"restartPolicy", {Type::string, true, d.one_of({"OnFailure", "Never"})}},  // of a Job: not Always
            {"containers", {Type::list, true, d.list_of(Type::map, d.map_of(container))}},
            {"volumes", {Type::list, false, d.list_of(Type::map, d.map_of(volume))}}});
}

void check_job(Document& d, const Named& named) {
  const Document::Check pod = [&](const YAML::Node& node, const std::string& path) { check_pod(d, node, path, named); };
  constexpr int64_t kInt32 = 2147483647;
  const Fields spec{{"completionMode", {Type::string, false, d.one_of({"NonIndexed", "Indexed"})}},
                    {"completions", {Type::integer, false, d.between(0, kInt32)}},
                    {"parallelism", {Type::integer, false, d.between(0, kInt32)}},
                    {"backoffLimit", {Type::integer, false, d.between(0, kInt32)}},
                    {"suspend", {Type::boolean, false, {}}},
                    {"template", {Type::map, true, d.map_of({{"spec", {Type::map, true, pod}}})}}};
  d.fields(d.node(), "",
           {{"apiVersion", {Type::string, true, d.one_of({"batch/v1"})}},
            {"kind", {Type::string, true, {}}},
            {"metadata", metadata(d)},
            {"spec", {Type::map, true, d.map_of(spec)}}});
  const YAML::Node job = d.node()["spec"];
  if (!job.IsMap() || Document::text(job["completionMode"]) != "Indexed") return;
  const std::string completions = Document::text(job["completions"]);
  if (completions.empty()) d.say("spec.completions", "required when completionMode is Indexed");
  if (job["parallelism"] && type_of(job["parallelism"]) == Type::integer && job["parallelism"].as<int64_t>() > 100'000)
    d.say("spec.parallelism", "expected at most 100000 when completionMode is Indexed");
  // A pod is called NAME-INDEX, which is its host name.
  if (!is_label(d.name() + "-" + completions)) d.say("metadata.name", "too long for the names of its pods");
}

void check_config_map(Document& d) {
  const Document::Check data = [&](const YAML::Node& node, const std::string& path) {
    size_t bytes = 0;
    for (const auto& entry : node) {
      const std::string key = Document::text(entry.first);
      if (!matches(key, "[-._a-zA-Z0-9]{1,253}")) d.say(path + "." + key, "expected letters, digits, '-', '_' and '.'");
      if (type_of(entry.second) != Type::string) d.say(path + "." + key, "expected a string");
      bytes += Document::text(entry.second).size();
    }
    if (bytes > 1u << 20) d.say(path, "expected at most 1 MiB");
  };
  d.fields(d.node(), "",
           {{"apiVersion", {Type::string, true, d.one_of({"v1"})}},
            {"kind", {Type::string, true, {}}},
            {"metadata", metadata(d)},
            {"data", {Type::map, false, data}}});
}

void check_claim(Document& d) {
  const Document::Check mode = d.one_of({"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"});
  d.fields(d.node(), "",
           {{"apiVersion", {Type::string, true, d.one_of({"v1"})}},
            {"kind", {Type::string, true, {}}},
            {"metadata", metadata(d)},
            {"spec",
             {Type::map, true,
              d.map_of({{"accessModes", {Type::list, true, d.list_of(Type::string, mode)}},
                        {"storageClassName", {Type::string, false, {}}},
                        {"resources", resources(d, true)}})}}});
  const YAML::Node spec = d.node()["spec"];
  if (spec.IsMap() && spec["resources"].IsMap() && spec["resources"]["requests"].IsMap() &&
      !spec["resources"]["requests"]["storage"])
    d.say("spec.resources.requests.storage", "required");
}

}  // namespace

std::vector<std::string> manifest_problems(const std::string& yaml) {
  std::vector<std::string> problems;
  std::vector<YAML::Node> nodes;
  try {
    nodes = YAML::LoadAll(yaml);
  } catch (const YAML::Exception& error) {
    return {std::string("no YAML: ") + error.what()};
  }
  std::vector<Document> documents;
  for (const YAML::Node& node : nodes) {
    if (!node.IsMap()) return {"a document is no map"};
    documents.emplace_back(node, problems);
  }
  Named named;
  std::set<std::string> names;
  for (Document& d : documents) {
    if (d.kind() == "ConfigMap") named.config_maps.insert(d.name());
    if (d.kind() == "PersistentVolumeClaim") named.claims.insert(d.name());
    if (!names.insert(d.kind() + "/" + d.name()).second) d.say("metadata.name", "is there twice");
  }
  for (Document& d : documents) {
    if (d.kind() == "Job")
      check_job(d, named);
    else if (d.kind() == "ConfigMap")
      check_config_map(d);
    else if (d.kind() == "PersistentVolumeClaim")
      check_claim(d);
    else
      d.say("kind", "expected Job, ConfigMap or PersistentVolumeClaim");
  }
  return problems;
}

}  // namespace pgram::engines
