// What other networks and disturbances do to the cases that are best without them.
#pragma once
#include <vector>

#include "cli/sweep_report/choice.h"
#include "cli/sweep_report/study.h"

namespace pgram::sweep_report {

struct Effect {
  Condition condition;
  struct At {
    Point point;                   ///< of the usual condition
    const Row* same = nullptr;     ///< the same choice under this condition; null if it does not fit or has no row
    const Row* best = nullptr;     ///< the best one for this kind and number of devices; null if none fits
    double more() const;           ///< step time of `same` over the usual one, less 1
    bool another_is_best() const;  ///< another choice is faster than `same`
  };
  std::vector<At> at;
  double median = 0;       ///< of more()
  size_t same = 0;         ///< how many have a `same`
  size_t worst = 0;        ///< place of the greatest more(); looked at only if there is one
  size_t others_best = 0;  ///< how many have another best choice
};
/// For every condition of the topic but the usual one.
std::vector<Effect> effects_of(const Topic&);
/// "flow, slow-gpu": the parts in which the topic's conditions differ.
std::string to_text(const Condition&, const Topic&);

}  // namespace pgram::sweep_report
