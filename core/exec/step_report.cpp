#include "core/exec/step_report.h"

#include "core/exec/byte_stream.h"

namespace pgram {

std::string StepReport::encode() const {
  ByteWriter out;
  out.add(next_step);
  out.add(stop);
  out.add(ranks);
  out.add(spans);
  return out.take();
}

StepReport StepReport::decode(const std::string& bytes) {
  StepReport report;
  ByteReader in(bytes);
  in.read(report.next_step);
  in.read(report.stop);
  in.read(report.ranks);
  in.read(report.spans);
  if (!in.at_end()) throw RunError("a report between processes is too long");
  return report;
}

}  // namespace pgram
