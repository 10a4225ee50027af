// A Slurm of one node for a test: munged, slurmctld and slurmd with a configuration of their own in the test's folder,
// on free ports, as the user who runs the test; no system service, no cgroups. All of it ends with the test.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "tests/sweep_engines/support/process.h"

namespace pgram::engines {

class Slurm {
 public:
  explicit Slurm(const Folder&);
  ~Slurm();
  /// Empty once its node takes jobs; else what is not installed, or what Slurm said when it could not start.
  const std::string& why_not() const { return why_not_; }
  /// For programs that talk to it: "NAME=value".
  const std::vector<std::string>& environment() const { return environment_; }
  /// Until no job waits or runs; false if that takes too long.
  bool wait_for_jobs(double seconds);
  /// What its daemons wrote, for a failed test's message.
  std::string logs() const;

 private:
  bool start();
  std::string configuration() const;

  const Folder& folder_;
  std::string why_not_;
  std::vector<std::string> environment_;
  std::vector<std::unique_ptr<Process>> daemons_;
};

}  // namespace pgram::engines
