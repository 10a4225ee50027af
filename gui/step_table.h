// StepTable: step time, bubble, utilisation, memory and throughput of both timelines and their difference.
#pragma once
#include <QTableWidget>

#include "core/timeline/summary.h"

namespace pgram::gui {

class Scene;

class StepTable : public QTableWidget {
  Q_OBJECT
 public:
  explicit StepTable(QWidget* parent = nullptr);
  void show_scene(const Scene&);
};

}  // namespace pgram::gui
