#include "core/layout/layout.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <vector>

#include "core/base/errors.h"
#include "core/base/units.h"

namespace pgram {

/// More ranks than any machine has, and few enough that every product of degrees fits its type.
constexpr uint64_t kMaxRanks = 1u << 20;

const char* name_of(Axis axis) {
  switch (axis) {
    case Axis::tp:
      return "tp";
    case Axis::dp:
      return "dp";
    case Axis::pp:
      return "pp";
  }
  return "?";
}

const char* name_of(PointToPoint p2p) {
  return p2p == PointToPoint::paired ? "paired" : "channels";
}

PointToPoint parse_point_to_point(const std::string& text) {
  for (PointToPoint p2p : {PointToPoint::channels, PointToPoint::paired}) {
    if (text == name_of(p2p)) return p2p;
  }
  throw InputError("p2p", "expected channels or paired, got '" + text + "'");
}

[[noreturn]] static void refuse(const std::string& text, const std::string& message) {
  throw InputError("layout '" + text + "'", message);
}

static std::vector<std::string> split_at_dots(const std::string& text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t dot; (dot = text.find('.', begin)) != std::string::npos; begin = dot + 1) {
    parts.push_back(text.substr(begin, dot - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

/// The number behind a part's name. The message repeats what was written, since it may be too large for any type.
static uint32_t parse_degree(const std::string& text, const std::string& part, std::string_view digits) {
  if (digits.empty()) refuse(text, "'" + part + "' has no degree; write for example '" + part + "2'");
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool is_number = end == digits.data() + digits.size();
  if (!is_number || (error != std::errc() && error != std::errc::result_out_of_range)) {
    refuse(text, "'" + part + "': the degree is not a positive whole number");
  }
  if (error == std::errc::result_out_of_range || value > kMaxRanks) {
    refuse(text,
           "'" + part + "': the degree is larger than " + format_count(kMaxRanks) + ", the most ranks of a layout");
  }
  if (value == 0) refuse(text, "'" + part + "': the degree must be at least 1");
  return static_cast<uint32_t>(value);
}

static std::string why_not_available(const std::string& name) {
  if (name == "cp") return "context parallelism";
  if (name == "ep") return "expert parallelism";
  if (name == "vpp") return "virtual pipeline stages (interleaving)";
  if (name == "zero") return "sharding of the optimizer state (ZeRO)";
  return {};
}

Layout parse_layout(const std::string& text) {
  Layout layout;
  std::set<std::string> seen;
  for (const std::string& part : split_at_dots(text)) {
    const size_t name_length = std::min(part.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), part.size());
    const std::string name = part.substr(0, name_length);
    if (!seen.insert(name).second && !name.empty()) refuse(text, "'" + name + "' is given twice");
    if (const std::string feature = why_not_available(name); !feature.empty()) {
      refuse(text,
             "'" + part + "': " + feature + " is not available yet; known parts are tpN, ppN, dpN, sp and paired");
    }
    uint32_t* degree = name == "tp" ? &layout.tp : name == "pp" ? &layout.pp : name == "dp" ? &layout.dp : nullptr;
    if (degree) {
      *degree = parse_degree(text, part, std::string_view(part).substr(name_length));
    } else if (part == "sp") {
      layout.sequence_parallel = true;
    } else if (part == name_of(PointToPoint::paired)) {
      layout.p2p = PointToPoint::paired;
    } else {
      refuse(text,
             "unknown part '" + part + "'; expected degrees like 'tp4.pp2.dp2' and optionally '.sp' and '.paired'");
    }
  }
  // Each degree is at most 2^20, so the product of three fits 64 bits.
  if (layout.ranks() > kMaxRanks) {
    refuse(text, "tp " + std::to_string(layout.tp) + " x pp " + std::to_string(layout.pp) + " x dp " +
                     std::to_string(layout.dp) + " = " + format_count(layout.ranks()) + " ranks are more than " +
                     format_count(kMaxRanks));
  }
  if (layout.sequence_parallel && layout.tp == 1) {
    refuse(text, "'sp' splits activations over the tensor-parallel ranks and needs tp of at least 2");
  }
  if (layout.p2p == PointToPoint::paired && layout.pp == 1) {
    refuse(text, "'paired' is about what pipeline stages send each other and needs pp of at least 2");
  }
  return layout;
}

std::string to_text(const Layout& layout) {
  std::string text;
  const auto append = [&text](const std::string& part) { text += (text.empty() ? "" : ".") + part; };
  if (layout.tp > 1) append("tp" + std::to_string(layout.tp));
  if (layout.pp > 1) append("pp" + std::to_string(layout.pp));
  if (layout.dp > 1) append("dp" + std::to_string(layout.dp));
  if (text.empty()) append("tp1");
  if (layout.sequence_parallel) append("sp");
  if (layout.p2p == PointToPoint::paired) append(name_of(layout.p2p));
  return text;
}

}  // namespace pgram
