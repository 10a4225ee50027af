// What the window does beside itself: simulating and executing, each in a worker of its own.
#pragma once
#include <QObject>
#include <QThreadPool>
#include <memory>
#include <optional>
#include <stop_token>

#include "gui/model/session.h"

namespace pgram::gui {

/// Plans and simulates the latest request. Every request has a number; results of older ones are dropped, and requests
/// that wait behind a running one replace each other.
class SimulationJob : public QObject {
  Q_OBJECT
 public:
  SimulationJob(std::shared_ptr<Session> session, QObject* parent = nullptr);
  ~SimulationJob() override;
  void request(const SessionInputs&);
  bool busy() const { return running_; }

 Q_SIGNALS:
  void started();
  void finished(std::shared_ptr<const pgram::gui::SessionResult> result);
  void failed(const QString& message);

 private:
  void start(const SessionInputs&, uint64_t number);
  void arrived(uint64_t number, std::shared_ptr<const SessionResult> result, const QString& message);

  std::shared_ptr<Session> session_;
  QThreadPool pool_;
  uint64_t latest_ = 0;
  bool running_ = false;
  std::optional<SessionInputs> waiting_;
};

/// Executes one Plan at a time on the CPU backend.
class ExecutionJob : public QObject {
  Q_OBJECT
 public:
  explicit ExecutionJob(QObject* parent = nullptr);
  ~ExecutionJob() override;
  void start(std::shared_ptr<const Plan> plan, uint32_t steps);
  void stop();
  bool busy() const { return running_; }

 Q_SIGNALS:
  void progressed(int done, int steps, double loss, qint64 picoseconds);
  /// Null when it was stopped early.
  void finished(std::shared_ptr<const pgram::Timeline> timeline);
  void failed(const QString& message);

 private:
  QThreadPool pool_;
  std::stop_source stop_;
  bool running_ = false;
};

}  // namespace pgram::gui
