// Checkpoint intervals and goodput by formula, for exponentially distributed failures.
#pragma once
#include "sim/whole_run/training_run.h"

namespace pgram {

/// Time of training between checkpoints: sqrt(2 C M). Young, A First Order Approximation to the Optimum Checkpoint
/// Interval, CACM 17 (1974).
Seconds young_interval(const TrainingRun&);

/// sqrt(2 C M) [1 + 1/3 sqrt(C / 2M) + 1/9 (C / 2M)] - C for C < 2M, else M. Daly, A Higher Order Estimate of the
/// Optimum Checkpoint Interval for Restart Dumps, FGCS 22 (2006), equation 37.
Seconds daly_interval(const TrainingRun&);

/// t / (M e^(R/M) (e^((t + C)/M) - 1)) for an interval t: Daly's complete model (equation 20), which is exact for a run
/// without end. The best t of it, where t/M = 1 - e^(-(t + C)/M), is below M.
double expected_goodput(const TrainingRun&, Seconds interval);

}  // namespace pgram
