// The virtual clock: times by hand, compared in picoseconds.
#include <map>

#include "tests/emulation_tests/runtime/planted.h"
#include "tests/emulation_tests/runtime/stand_in.h"

namespace pgram::emulation {

inline bool operator==(const TaskTime& a, const TaskTime& b) {
  return a.task == b.task && a.device == b.device && a.arrival == b.arrival && a.start == b.start && a.end == b.end;
}
inline std::ostream& operator<<(std::ostream& out, const TaskTime& t) {
  return out << t.task << " of device " << t.device << ": " << t.arrival << ", " << t.start << " .. " << t.end;
}

namespace {

using testing::ElementsAre;

class VirtualClock : public StandIn {
 protected:
  void SetUp() override {
    StandIn::SetUp();
    if (!control) return;
    control->reset();
    control->set_cost_model([](const std::string& task, int) {
      static const std::map<std::string, Cost> costs = {
          {"compute 100", {100, 0}}, {"compute 30", {30, 0}}, {"receive 10 + 5", {10, 5}}};
      return costs.at(task);
    });
    x_ = floats(64);
    EXPECT_CUDA(cudaEventCreate(&event_));
  }
  void TearDown() override {
    if (control) {
      control->reset();
      EXPECT_CUDA(cudaEventDestroy(event_));
    }
    StandIn::TearDown();
  }
  void run(const std::string& name, cudaStream_t on, int operations = 1) {
    const InTask task(name);
    for (int i = 0; i < operations; ++i) EXPECT_CUDA(planted::add(x_, 64, 1, on));
  }

  float* x_ = nullptr;
  cudaEvent_t event_ = nullptr;
};

TEST_F(VirtualClock, TasksOfAStreamFollowEachOther) {
  run("compute 100", stream, 3);  // three operations are one task: 100 in all
  run("compute 30", stream);
  run("compute 30", stream);  // the same name, another task
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_THAT(control->take_task_times(),
              ElementsAre(TaskTime{"compute 100", 0, 0, 0, 0, 100}, TaskTime{"compute 30", 0, 0, 100, 100, 130},
                          TaskTime{"compute 30", 0, 0, 130, 130, 160}));
}

TEST_F(VirtualClock, EventsCarryTimeBetweenStreams) {
  const cudaStream_t other = make_stream();
  run("compute 100", stream);
  EXPECT_CUDA(cudaEventRecord(event_, stream));
  run("compute 30", other);
  EXPECT_CUDA(cudaStreamWaitEvent(other, event_, 0));
  run("compute 30", other);  // max(30, 100)
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_THAT(control->take_task_times(),
              ElementsAre(TaskTime{"compute 100", 0, 0, 0, 0, 100}, TaskTime{"compute 30", 0, 0, 0, 0, 30},
                          TaskTime{"compute 30", 0, 0, 100, 100, 130}));
}

TEST_F(VirtualClock, ATailDelaysWaitersButNotTheStream) {
  const cudaStream_t other = make_stream();
  run("receive 10 + 5", stream);
  EXPECT_CUDA(cudaEventRecord(event_, stream));  // at 15
  run("receive 10 + 5", stream);                 // begins at 10
  EXPECT_CUDA(cudaStreamWaitEvent(other, event_, 0));
  run("compute 30", other);
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_THAT(control->take_task_times(),
              ElementsAre(TaskTime{"receive 10 + 5", 0, 0, 0, 0, 15}, TaskTime{"receive 10 + 5", 0, 0, 10, 10, 25},
                          TaskTime{"compute 30", 0, 0, 15, 15, 45}));
}

TEST_F(VirtualClock, ElapsedTimeIsVirtual) {
  cudaEvent_t begin = nullptr;
  EXPECT_CUDA(cudaEventCreate(&begin));
  EXPECT_CUDA(cudaEventRecord(begin, stream));
  run("compute 100", stream);
  EXPECT_CUDA(cudaEventRecord(event_, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  float milliseconds = 0;
  EXPECT_CUDA(cudaEventElapsedTime(&milliseconds, begin, event_));
  EXPECT_FLOAT_EQ(milliseconds, 100e-9f);  // 100 ps
  EXPECT_CUDA(cudaEventDestroy(begin));
}

TEST_F(VirtualClock, TimesDoNotDependOnRealOnes) {
  std::vector<TaskTime> first;
  for (int round = 0; round < 5; ++round) {
    const cudaStream_t other = make_stream();
    control->take_task_times();
    run("compute 100", stream, 1 + round);
    EXPECT_CUDA(cudaEventRecord(event_, stream));
    EXPECT_CUDA(cudaStreamWaitEvent(other, event_, 0));
    run("receive 10 + 5", other, 5 - round);
    run("compute 30", stream, 3);
    EXPECT_CUDA(cudaDeviceSynchronize());
    std::vector<TaskTime> times = control->take_task_times();
    for (TaskTime& t : times) t.arrival -= 130 * round, t.start -= 130 * round, t.end -= 130 * round;
    if (round == 0) first = times;
    EXPECT_EQ(times, first);
  }
}

}  // namespace
}  // namespace pgram::emulation
