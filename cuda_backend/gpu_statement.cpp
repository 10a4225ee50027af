#include "cuda_backend/gpu_statement.h"

#include <set>
#include <sstream>

namespace pgram {

std::string GpuStatement::to_text() const {
  std::string text = refusal + "\n";
  for (size_t i = 0; i < names.size(); ++i) text += names[i] + "\n" + places[i] + "\n";
  return text;
}

GpuStatement GpuStatement::from_text(const std::string& text) {
  GpuStatement statement;
  std::istringstream lines(text);
  std::getline(lines, statement.refusal);
  for (std::string name, place; std::getline(lines, name) && std::getline(lines, place);) {
    statement.names.push_back(name);
    statement.places.push_back(place);
  }
  return statement;
}

std::string refusal_of(const std::vector<GpuStatement>& statements, bool share_gpu) {
  std::set<std::string> kinds, places;
  for (const GpuStatement& statement : statements) {
    if (!statement.refusal.empty()) return statement.refusal;
    kinds.insert(statement.names.begin(), statement.names.end());
    for (const std::string& place : statement.places) {
      if (places.insert(place).second || share_gpu) continue;
      return "devices: two ranks have the same GPU (" + place +
             "); give each process its own by --devices or LOCAL_RANK";
    }
  }
  if (kinds.size() <= 1) return {};
  std::string text;
  for (const std::string& kind : kinds) text += (text.empty() ? "" : " and ") + kind;
  return "devices: the GPUs are of different kinds, " + text + "; a plan takes equal ones: choose them by --devices";
}

}  // namespace pgram
