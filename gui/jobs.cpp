#include "gui/jobs.h"

#include "gui/model/execution.h"

namespace pgram::gui {

SimulationJob::SimulationJob(std::shared_ptr<Session> session, QObject* parent)
    : QObject(parent), session_(std::move(session)) {
  pool_.setMaxThreadCount(1);
}

SimulationJob::~SimulationJob() {
  pool_.waitForDone();
}

void SimulationJob::request(const SessionInputs& inputs) {
  ++latest_;
  if (running_) {
    waiting_ = inputs;
    return;
  }
  start(inputs, latest_);
  Q_EMIT started();
}

void SimulationJob::start(const SessionInputs& inputs, uint64_t number) {
  running_ = true;
  pool_.start([this, session = session_, inputs, number] {
    std::shared_ptr<const SessionResult> result;
    QString message;
    try {
      result = std::make_shared<const SessionResult>(session->plan_and_simulate(inputs));
    } catch (const std::exception& error) {
      message = QString::fromStdString(error.what());
    }
    QMetaObject::invokeMethod(this, [this, number, result, message] { arrived(number, result, message); });
  });
}

void SimulationJob::arrived(uint64_t number, std::shared_ptr<const SessionResult> result, const QString& message) {
  running_ = false;
  if (waiting_) {
    const SessionInputs next = *std::exchange(waiting_, std::nullopt);
    start(next, latest_);
  }
  if (number != latest_) return;  // overtaken by a newer request
  if (result) {
    Q_EMIT finished(result);
  } else {
    Q_EMIT failed(message);
  }
}

ExecutionJob::ExecutionJob(QObject* parent) : QObject(parent) {
  pool_.setMaxThreadCount(1);
}

ExecutionJob::~ExecutionJob() {
  stop_.request_stop();
  pool_.waitForDone();
}

void ExecutionJob::start(std::shared_ptr<const Plan> plan, uint32_t steps) {
  if (running_) return;
  running_ = true;
  stop_ = std::stop_source();
  pool_.start([this, plan, steps, token = stop_.get_token()] {
    std::shared_ptr<const Timeline> timeline;
    QString message;
    try {
      timeline = execute(plan, steps, token, [this](uint32_t done, uint32_t of, double loss, Picoseconds time) {
        QMetaObject::invokeMethod(
            this, [=, this] { Q_EMIT progressed(static_cast<int>(done), static_cast<int>(of), loss, time); });
      });
    } catch (const std::exception& error) {
      message = QString::fromStdString(error.what());
    }
    QMetaObject::invokeMethod(this, [this, timeline, message] {
      running_ = false;
      if (message.isEmpty()) {
        Q_EMIT finished(timeline);
      } else {
        Q_EMIT failed(message);
      }
    });
  });
}

void ExecutionJob::stop() {
  stop_.request_stop();
}

}  // namespace pgram::gui
