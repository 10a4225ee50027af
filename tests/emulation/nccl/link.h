// Link: a communicator's way to where its calls meet those of the others, in this process or another.
#pragma once
#include <memory>
#include <string>

#include "tests/emulation/nccl/call.h"

namespace pgram::emulation {

class Link {
 public:
  virtual ~Link() = default;
  virtual void post(const Call&, Bytes, Done) = 0;
  /// The communicator is destroyed, or `aborted`: what is posted is taken away. Once.
  virtual void leave(bool aborted) = 0;
  virtual const std::string& name() const = 0;  ///< of the communicator, for people
};

/// A way to meeting `number` at the hub. nullptr if there is no such hub (any more) or the rank does not belong there.
std::shared_ptr<Link> open_link(const std::string& hub, uint64_t number, int rank, int ranks, Listener);

}  // namespace pgram::emulation
