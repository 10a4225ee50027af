#include "core/plan/kernel_rules.h"

#include <algorithm>
#include <map>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {
namespace {

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

class Checker {
 public:
  Checker(const Plan& plan, const Body& body, const Op& op) : plan_(plan), body_(body), op_(op) {}

  std::string check() {
    if (op_.kernel == Kernel::opaque) return "";
    const KernelRule& rule = rule_of(op_.kernel);
    std::vector<std::string_view> writes = words_of(rule.writes), reads = words_of(rule.reads);
    const size_t num_reads = static_cast<size_t>(op_.num_operands - op_.num_writes);
    if (!rule.optional.empty() && num_reads == reads.size() + 1) reads.push_back(rule.optional);
    // An optimizer without moments keeps state only for a master copy.
    if (op_.kernel == Kernel::sgd && op_.num_writes == 2) writes.push_back("*");
    if (op_.num_writes != writes.size() || num_reads != reads.size()) {
      return "writes " + std::to_string(op_.num_writes) + " and reads " + std::to_string(num_reads) +
             " operands, not " + std::to_string(writes.size()) + " and " + std::to_string(reads.size());
    }
    std::vector<std::string_view> all = writes;
    all.insert(all.end(), reads.begin(), reads.end());
    for (size_t i = 0; i < all.size() && error_.empty(); ++i) check_dims(i, all[i]);
    if (error_.empty()) check_types();
    if (error_.empty()) check_attributes();
    if (error_.empty() && is_communication(op_.kernel)) check_bytes();
    if (error_.empty() && (op_.kernel == Kernel::adamw || op_.kernel == Kernel::sgd)) check_optimizer();
    return error_;
  }

 private:
  const Operand& operand(size_t i) const { return body_.operands[op_.first_operand + i]; }
  OperandShape shape(size_t i) const { return operand_shape(plan_, body_, operand(i)); }
  const Record& record(size_t i) const { return plan_.records[body_.formals[operand(i).formal]]; }
  void fail(std::string message) {
    if (error_.empty()) error_ = std::move(message);
  }

  void check_dims(size_t i, std::string_view letters) {
    if (letters == "*") return;
    const OperandShape s = shape(i);
    if (operand(i).field == kWhole) return fail("takes a single tensor as operand " + std::to_string(i));
    if (letters.size() == 1 && s.dims[1] != 1) return fail("needs one dim in operand " + std::to_string(i));
    for (size_t d = 0; d < letters.size(); ++d) {
      const char letter = letters[d];
      const uint64_t size = s.dims[d];
      const auto [known, added] = sizes_.try_emplace(letter, letter >= '0' && letter <= '9' ? letter - '0' : size);
      if (known->second != size) {
        return fail("has dim " + std::to_string(d) + " of operand " + std::to_string(i) + " of size " +
                    std::to_string(size) + " where " + std::to_string(known->second) + " is needed");
      }
    }
  }

  uint64_t size(char letter) const {
    const auto found = sizes_.find(letter);
    return found == sizes_.end() ? 0 : found->second;
  }

  /// Token lists are integers; everything else is not.
  void check_types() {
    const auto is_tokens = [&](size_t i) {
      switch (op_.kernel) {
        case Kernel::input:
          return true;
        case Kernel::embed:
          return i == 1;
        case Kernel::embed_dw:
          return i == 2;
        case Kernel::ce_sum:
          return i == 3;
        case Kernel::ce_bwd:
          return i == 4;
        default:
          return false;
      }
    };
    for (size_t i = 0; i < op_.num_operands; ++i) {
      if (operand(i).field == kWhole || op_.kernel == Kernel::zero || is_communication(op_.kernel)) continue;
      if ((shape(i).dtype == DType::i32) != is_tokens(i)) {
        fail("has operand " + std::to_string(i) + " of the wrong element type");
      }
    }
  }

  void check_attributes() {
    const Attributes& a = plan_.attributes[op_.attributes];
    const uint64_t query = uint64_t{a.heads} * a.head_dim, all = (uint64_t{a.heads} + 2ull * a.kv_heads) * a.head_dim;
    switch (op_.kernel) {
      case Kernel::attention:
      case Kernel::attention_bwd:
        if (!a.sequence || !a.kv_heads || a.heads % a.kv_heads || size('n') % a.sequence || size('q') != all ||
            size('w') != query || size('a') != a.heads) {
          fail("has heads or a sequence that do not agree with its tensors");
        }
        break;
      case Kernel::rope:
      case Kernel::rope_bwd:
      case Kernel::head_norm:
      case Kernel::head_norm_dx:
      case Kernel::head_norm_dw:
        if (!a.sequence || size('q') != all || a.rotary_dims > a.head_dim || a.rotary_dims % 2 ||
            (size('d') && size('d') != a.head_dim)) {
          fail("has heads that do not agree with its tensors");
        }
        break;
      case Kernel::positions:
      case Kernel::positions_dw:
        if (!a.sequence || a.sequence > size('p')) fail("has sequences longer than its positions");
        break;
      case Kernel::swiglu:
      case Kernel::swiglu_bwd:
        if (size('g') != 2 * size('f')) fail("needs gate and up side by side");
        break;
      default:
        break;
    }
  }

  void check_bytes() {
    const uint64_t group = group_size(plan_, op_.comm);
    const uint64_t first = shape(0).bytes;
    uint64_t bytes = first;
    if (op_.kernel == Kernel::all_gather || op_.kernel == Kernel::reduce_scatter) {
      const uint64_t second = shape(1).bytes;
      bytes = op_.kernel == Kernel::all_gather ? first : second;
      const uint64_t part = op_.kernel == Kernel::all_gather ? second : first;
      if (part * group != bytes) {
        return fail("has " + std::to_string(part) + " bytes a rank, " + std::to_string(bytes) +
                    " together, in a group of " + std::to_string(group));
      }
    }
    if (op_.bytes != bytes) {
      fail("says " + std::to_string(op_.bytes) + " bytes, its operand has " + std::to_string(bytes));
    }
  }

  /// The state holds the weights' fields some whole number of times.
  void check_optimizer() {
    const size_t gradient = op_.num_writes;
    const std::vector<Field>& weights = record(0).fields;
    const std::vector<Field>& gradients = record(gradient).fields;
    const auto same = [](const Field& a, const Field& b) { return a.dims == b.dims; };
    const bool whole = operand(0).field == kWhole && operand(gradient).field == kWhole &&
                       (op_.num_writes < 2 || operand(1).field == kWhole);
    if (!whole || !std::equal(weights.begin(), weights.end(), gradients.begin(), gradients.end(), same)) {
      return fail("has gradients that are not those of its weights");
    }
    if (op_.num_writes < 2) return;
    const std::vector<Field>& state = record(1).fields;
    const size_t needed = op_.kernel == Kernel::adamw ? 2 : 1;
    if (state.size() < needed * weights.size() || state.size() % weights.size())
      return fail("has not the state it needs");
    for (size_t i = 0; i < state.size(); ++i) {
      if (!same(state[i], weights[i % weights.size()])) return fail("has state that is not that of its weights");
    }
  }

  const Plan& plan_;
  const Body& body_;
  const Op& op_;
  std::map<char, uint64_t> sizes_;
  std::string error_;
};

}  // namespace

std::string check_operands(const Plan& plan, const Body& body, const Op& op) {
  return Checker(plan, body, op).check();
}

}  // namespace pgram
