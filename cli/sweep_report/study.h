// The rows of a sweep, sorted into questions: only cases that train the same model on the same batch can be compared.
#pragma once
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "cli/sweep/results.h"

namespace pgram::sweep_report {

using sweep::Row;

/// What is given; cluster, layout and micro-batch are what can be chosen.
struct Question {
  std::string model;
  uint32_t global_batch = 0, sequence = 0;
  Precision precision = Precision::bf16;
  Optimizer optimizer = Optimizer::adamw;
  bool operator==(const Question&) const = default;
};
Question question_of(const Row&);
std::string to_text(const Question&);  ///< "llama-3.1-70b, 512 sequences of 8,192 tokens a step, bf16, adamw"

/// How it was simulated, and what did not go as planned. Not a choice either.
struct Condition {
  std::string network, disturbance;
  bool operator==(const Condition&) const = default;
};
Condition condition_of(const Row&);

struct Topic {
  Question question;
  std::vector<Row> fits;  ///< in the order in which they were added
  /// Of the fits. The usual one is first: undisturbed, by the network of most fits and then of most detail; the others
  /// as they were added.
  std::vector<Condition> conditions;
  std::vector<const Row*> usual() const;  ///< fits of the usual condition
};

struct Reason {
  std::string text;  ///< numbers of a single case left out
  uint64_t cases = 0;
};

struct Study {
  uint64_t rows = 0, fits = 0, unfit = 0, failed = 0;
  std::vector<Topic> topics;                  ///< in the order in which they were added
  std::vector<Reason> why_unfit, why_failed;  ///< most frequent first
};

/// Takes rows one by one, in the order of their numbers.
class StudyMaker {
 public:
  void add(const Row&);
  Study finish();

 private:
  Study study_;
};

/// "dgx-h100@2" of "dgx-h100:64@2": the cluster less its size.
std::string kind_of_cluster(const std::string& cluster);
/// "layout tp… needs …" of "layout tp8 needs 64".
std::string without_numbers(const std::string& reason);

}  // namespace pgram::sweep_report
