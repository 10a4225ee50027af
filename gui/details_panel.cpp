#include "gui/details_panel.h"

#include <QHeaderView>
#include <QLabel>
#include <QTableWidget>
#include <QVBoxLayout>

namespace pgram::gui {
namespace {

QTableWidget* make_table(const QStringList& columns) {
  auto* table = new QTableWidget(0, static_cast<int>(columns.size()));
  table->setHorizontalHeaderLabels(columns);
  table->setEditTriggers(QAbstractItemView::NoEditTriggers);
  table->setSelectionBehavior(QAbstractItemView::SelectRows);
  table->setAlternatingRowColors(true);
  table->setShowGrid(false);
  table->setFrameShape(QFrame::NoFrame);
  table->verticalHeader()->hide();
  table->verticalHeader()->setDefaultSectionSize(table->fontMetrics().height() + 6);
  table->horizontalHeader()->setHighlightSections(false);
  table->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  table->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
  return table;
}

void set_row(QTableWidget* table, int row, const QStringList& texts) {
  for (int column = 0; column < texts.size(); ++column)
    table->setItem(row, column, new QTableWidgetItem(texts[column]));
}

QString text(const std::string& value) {
  return QString::fromStdString(value);
}

}  // namespace

DetailsPanel::DetailsPanel(QWidget* parent) : QTabWidget(parent), title_(new QLabel) {
  setDocumentMode(true);
  auto* page = new QWidget;
  auto* layout = new QVBoxLayout(page);
  layout->setContentsMargins(6, 4, 6, 0);
  layout->setSpacing(2);
  title_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  title_->setTextFormat(Qt::PlainText);
  QFont bold = title_->font();
  bold.setBold(true);
  title_->setFont(bold);
  selection_ = make_table({QString(), tr("Simulated"), tr("Measured")});
  layout->addWidget(title_);
  layout->addWidget(selection_, 1);
  differences_ = make_table(
      {tr("Body"), tr("Kernel"), tr("Tasks"), tr("Simulated"), tr("Measured"), tr("Difference"), tr("Relative")});
  addTab(page, tr("Selection"));
  addTab(differences_, tr("Largest differences"));
}

QString DetailsPanel::title() const {
  return title_->text();
}

void DetailsPanel::show_selection(const Scene& scene, const std::optional<Spot>& spot) {
  selection_->setHorizontalHeaderLabels({QString(), text(scene.title(0)), text(scene.title(1))});
  selection_->setRowCount(0);
  if (!spot) {
    title_->setText(tr("Click a task to see its details"));
    return;
  }
  title_->setText(text(scene.text(*spot)));
  const auto details = describe(scene, *spot);
  selection_->setRowCount(static_cast<int>(details.size()));
  for (int row = 0; row < selection_->rowCount(); ++row) {
    const Detail& detail = details[static_cast<size_t>(row)];
    set_row(selection_, row, {text(detail.name), text(detail.upper), text(detail.lower)});
  }
  setCurrentIndex(0);
}

void DetailsPanel::show_idle(const QString& why) {
  selection_->setRowCount(0);
  title_->setText(why);
  setCurrentIndex(0);
}

void DetailsPanel::show_differences(const Scene& scene) {
  differences_->setRowCount(0);
  differences_->setHorizontalHeaderLabels({tr("Body"), tr("Kernel"), tr("Tasks"), text(scene.title(0)),
                                           text(scene.title(1)), tr("Difference"), tr("Relative")});
  const auto& comparison = scene.matcher().comparison();
  if (!comparison) return;
  setCurrentWidget(differences_);
  differences_->setRowCount(static_cast<int>(comparison->kernels.size()));
  for (int row = 0; row < differences_->rowCount(); ++row) {
    const auto& kernel = comparison->kernels[static_cast<size_t>(row)];
    const Picoseconds change = kernel.b - kernel.a;
    const QString sign = change < 0 ? QStringLiteral("-") : QStringLiteral("+");
    set_row(differences_, row,
            {text(kernel.body), text(kernel.kernel), text(format_count(kernel.count)), text(format_time(kernel.a)),
             text(format_time(kernel.b)), sign + text(format_time(change < 0 ? -change : change)),
             text(format_difference(static_cast<double>(kernel.b), static_cast<double>(kernel.a)))});
  }
}

}  // namespace pgram::gui
