#include "gui/step_table.h"

#include <QHeaderView>
#include <optional>

#include "gui/model/scene.h"

namespace pgram::gui {
namespace {

struct Quantity {
  const char* name;
  const char* tip;
  double (*value)(const Summary&);
  QString (*text)(double);
  bool share;  ///< the difference is in percentage points
};

QString percent(double value) {
  return QStringLiteral("%1 %").arg(100 * value, 0, 'f', 1);
}

const std::array<Quantity, 6> kQuantities{{
    {QT_TRANSLATE_NOOP("StepTable", "Step time"), QT_TRANSLATE_NOOP("StepTable", "Median of the steps"),
     [](const Summary& s) { return static_cast<double>(s.step_time); },
     [](double v) { return QString::fromStdString(format_time(static_cast<Picoseconds>(v))); }, false},
    {QT_TRANSLATE_NOOP("StepTable", "Bubble"),
     QT_TRANSLATE_NOOP("StepTable", "Share of the step in which compute streams do nothing, mean over the ranks"),
     [](const Summary& s) { return s.bubble_of_total; }, percent, true},
    {QT_TRANSLATE_NOOP("StepTable", "MFU"), QT_TRANSLATE_NOOP("StepTable", "Model FLOPs utilisation of the peak"),
     [](const Summary& s) { return s.model_flops_utilisation; },
     [](double v) { return v > 0 ? percent(v) : QStringLiteral("-"); }, true},
    {QT_TRANSLATE_NOOP("StepTable", "Peak memory"), QT_TRANSLATE_NOOP("StepTable", "Of the fullest rank"),
     [](const Summary& s) { return static_cast<double>(s.peak_memory); },
     [](double v) { return v > 0 ? QString::fromStdString(format_bytes(static_cast<Bytes>(v))) : QStringLiteral("-"); },
     false},
    {QT_TRANSLATE_NOOP("StepTable", "Tokens/s"), QT_TRANSLATE_NOOP("StepTable", "Of all ranks together"),
     [](const Summary& s) { return s.tokens_per_second; },
     [](double v) { return QString::fromStdString(format_count(static_cast<uint64_t>(v + 0.5))); }, false},
    {QT_TRANSLATE_NOOP("StepTable", "Spread"),
     QT_TRANSLATE_NOOP("StepTable", "Of the steps: (90th - 10th percentile) / median"),
     [](const Summary& s) { return s.step_time_spread; },
     [](double v) { return v > 0 ? percent(v) : QStringLiteral("-"); }, true},
}};

QString difference(const Quantity& quantity, double upper, double lower) {
  if (upper == 0 || lower == 0) return QStringLiteral("-");
  if (quantity.share)
    return QStringLiteral("%1%2 pp").arg(lower < upper ? "" : "+").arg(100 * (lower - upper), 0, 'f', 1);
  return QString::fromStdString(format_difference(lower, upper));
}

/// Timelines of one plan do the same work: where one of them does not know the devices' peak, the other's serves.
void share_utilisation(Summary& a, Summary& b) {
  Summary& unknown = a.model_flops_utilisation > 0 ? b : a;
  const Summary& known = a.model_flops_utilisation > 0 ? a : b;
  if (unknown.model_flops_utilisation > 0 || unknown.step_time <= 0) return;
  unknown.model_flops_utilisation =
      known.model_flops_utilisation * static_cast<double>(known.step_time) / static_cast<double>(unknown.step_time);
}

}  // namespace

StepTable::StepTable(QWidget* parent) : QTableWidget(static_cast<int>(kQuantities.size()), 4, parent) {
  setEditTriggers(NoEditTriggers);
  setSelectionMode(NoSelection);
  setFocusPolicy(Qt::NoFocus);
  setAccessibleName(tr("Step time table"));
  setAlternatingRowColors(true);
  setShowGrid(false);
  setFrameShape(QFrame::NoFrame);
  horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
  horizontalHeader()->setSectionResizeMode(0, QHeaderView::ResizeToContents);
  horizontalHeader()->setHighlightSections(false);
  horizontalHeader()->setDefaultAlignment(Qt::AlignRight | Qt::AlignVCenter);
  verticalHeader()->hide();
  verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
  verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 8);
  for (int row = 0; row < rowCount(); ++row) {
    const Quantity& quantity = kQuantities[static_cast<size_t>(row)];
    for (int column = 0; column < 4; ++column) {
      auto* item = new QTableWidgetItem(column == 0 ? tr(quantity.name) : QString());
      item->setToolTip(tr(quantity.tip));
      item->setTextAlignment((column == 0 ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
      setItem(row, column, item);
    }
  }
  const int height = horizontalHeader()->sizeHint().height() + rowCount() * verticalHeader()->defaultSectionSize() + 4;
  setFixedHeight(height);
}

void StepTable::show_scene(const Scene& scene) {
  std::array<std::optional<Summary>, 2> summaries;
  for (const int side : {0, 1}) {
    if (scene.timeline(side)) summaries[static_cast<size_t>(side)] = summarise(*scene.timeline(side));
  }
  if (scene.matcher().matched()) share_utilisation(*summaries[0], *summaries[1]);
  setHorizontalHeaderLabels(
      {QString(), QString::fromStdString(scene.title(0)), QString::fromStdString(scene.title(1)), tr("Diff")});
  for (int row = 0; row < rowCount(); ++row) {
    const Quantity& quantity = kQuantities[static_cast<size_t>(row)];
    for (int side = 0; side < 2; ++side) {
      const auto& summary = summaries[static_cast<size_t>(side)];
      item(row, side + 1)->setText(summary ? quantity.text(quantity.value(*summary)) : QString());
    }
    const bool both = summaries[0] && summaries[1];
    item(row, 3)->setText(both ? difference(quantity, quantity.value(*summaries[0]), quantity.value(*summaries[1]))
                               : QString());
  }
}

}  // namespace pgram::gui
