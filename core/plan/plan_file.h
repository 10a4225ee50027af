// A Plan as a versioned JSON file (Bodies and Calls, never unrolled tasks), as text, and as Graphviz.
#pragma once
#include <cstdint>
#include <string>

namespace pgram {
struct Plan;
constexpr uint32_t kPlanVersion = 1;
std::string plan_to_json(const Plan&);
/// InputError with file and field for malformed, truncated or foreign-version text; indices are bounds-checked, but the
/// Plan is not verified.
Plan plan_from_json(const std::string& text, const std::string& file_name);
void write_plan(const Plan&, const std::string& path);
Plan read_plan(const std::string& path);

/// Whole plan for people: records, bodies with operands and waits, calls (at most `max_calls` per role).
std::string plan_to_text(const Plan&, int max_calls = 40);
/// Graphviz of one body, by name ("layer.f"); InputError names the known ones.
std::string body_to_dot(const Plan&, const std::string& body_name);
/// Graphviz of one slot of the schedule ("2F0"): its calls on its role and the waits between them.
std::string slot_to_dot(const Plan&, const std::string& slot_text);
}  // namespace pgram
