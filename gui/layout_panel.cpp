#include "gui/layout_panel.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFormLayout>
#include <QScopedValueRollback>
#include <QSignalBlocker>
#include <QSpinBox>

#include "core/base/errors.h"

namespace pgram::gui {
namespace {

void fill(QComboBox* box, const std::vector<uint32_t>& values, uint32_t current, auto&& text) {
  const QSignalBlocker quiet(box);
  box->clear();
  for (const uint32_t value : values) box->addItem(text(value), value);
  const int index = box->findData(current);
  box->setCurrentIndex(std::max(0, index));
}

void choose(QComboBox* box, const std::string& value) {
  const QSignalBlocker quiet(box);
  const QString text = QString::fromStdString(value);
  if (box->findData(text) < 0) box->addItem(text, text);
  box->setCurrentIndex(box->findData(text));
}

QComboBox* make_box(QFormLayout* form, const QString& label, const QString& tip) {
  auto* box = new QComboBox;
  box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  box->setMinimumContentsLength(12);
  box->setMaxVisibleItems(24);
  box->setToolTip(tip);
  form->addRow(label, box);
  return box;
}

}  // namespace

LayoutPanel::LayoutPanel(std::shared_ptr<Session> session, QWidget* parent)
    : QWidget(parent), session_(std::move(session)) {
  auto* form = new QFormLayout(this);
  form->setContentsMargins(8, 8, 8, 4);
  form->setVerticalSpacing(5);
  form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
  model_ = make_box(form, tr("&Model"), tr("What is trained: a shape of the library"));
  cluster_ =
      make_box(form, tr("&Cluster"), tr("Where it is trained; \"this\" is this machine, which can really run it"));
  schedule_ = make_box(form, tr("&Schedule"), tr("Order of forwards and backwards in the pipeline"));
  precision_ = make_box(form, tr("&Precision"), tr("The CPU backend runs fp32"));
  sequence_ = make_box(form, tr("Se&quence"), tr("Tokens per sequence"));
  global_batch_ = new QSpinBox;
  global_batch_->setRange(1, 1 << 20);
  global_batch_->setKeyboardTracking(false);
  global_batch_->setToolTip(tr("Sequences per step, over all replicas"));
  form->addRow(tr("&Global batch"), global_batch_);
  tp_ = make_box(form, tr("&TP"), tr("Tensor parallel: ranks that share every layer"));
  pp_ = make_box(form, tr("PP (s&tages)"), tr("Pipeline parallel: stages of layers"));
  dp_ = make_box(form, tr("&DP"), tr("Data parallel: replicas of the model"));
  micro_batch_ = make_box(form, tr("Micro-&batches"),
                          tr("Parts of a replica's batch that follow each other through the pipeline"));
  sequence_parallel_ = new QCheckBox(tr("Sequence para&llel"));
  sequence_parallel_->setToolTip(tr("Split what lies outside of the matrix products over TP by tokens"));
  form->addRow(QString(), sequence_parallel_);

  for (QComboBox* box : {model_, cluster_, schedule_, precision_, sequence_, tp_, pp_, dp_, micro_batch_}) {
    connect(box, &QComboBox::currentIndexChanged, this, &LayoutPanel::read_widgets);
  }
  connect(global_batch_, &QSpinBox::valueChanged, this, &LayoutPanel::read_widgets);
  connect(sequence_parallel_, &QCheckBox::toggled, this, &LayoutPanel::read_widgets);
}

void LayoutPanel::fill_lists() {
  if (model_->count() > 0) return;
  const auto add = [](QComboBox* box, const std::string& text) {
    box->addItem(QString::fromStdString(text), QString::fromStdString(text));
  };
  const QSignalBlocker quiet_model(model_), quiet_cluster(cluster_), quiet_schedule(schedule_), quiet(precision_);
  for (const Model& model : library_models()) {
    models_[model.name] = model;
    add(model_, model.name);
  }
  add(cluster_, "this");
  for (const ClusterEntry& entry : library_clusters()) {
    for (const char* nodes : {"", ":2", ":4", ":16", ":128", ":2048"}) {
      const std::string name = entry.name + nodes;
      const uint32_t count = *nodes ? static_cast<uint32_t>(std::stoul(nodes + 1)) : 1;
      cluster_->addItem(
          QStringLiteral("%1 (%2 GPUs)").arg(QString::fromStdString(name)).arg(count * entry.devices_per_node),
          QString::fromStdString(name));
    }
  }
  for (const char* name : {"1f1b", "gpipe"}) add(schedule_, name);
  for (const char* name : {"fp32", "bf16"}) add(precision_, name);
}

void LayoutPanel::set_inputs(const SessionInputs& inputs) {
  inputs_ = inputs;
  try {
    fill_lists();
    show_inputs();
  } catch (const std::exception& error) {
    Q_EMIT failed(QString::fromStdString(error.what()));
  }
}

uint32_t LayoutPanel::devices() {
  return available_devices(session_->cluster(inputs_.cluster, 0));
}

/// Makes the inputs valid and shows them, with the values that may be chosen now.
void LayoutPanel::show_inputs() {
  const QScopedValueRollback filling(filling_, true);
  auto known = models_.find(inputs_.model);
  if (known == models_.end()) known = models_.emplace(inputs_.model, find_model(inputs_.model)).first;
  const Model& model = known->second;
  const uint32_t most = devices();
  inputs_ = nearest_valid(model, inputs_, most);
  const Choices offered = choices(model, inputs_, most);
  choose(model_, inputs_.model);
  choose(cluster_, inputs_.cluster);
  choose(schedule_, inputs_.layout.schedule);
  choose(precision_, name_of(inputs_.work.precision));
  const auto number = [](uint32_t value) { return QString::number(value); };
  fill(sequence_, offered.sequence, inputs_.work.sequence, number);
  fill(tp_, offered.tp, inputs_.layout.tp, number);
  fill(pp_, offered.pp, inputs_.layout.pp, number);
  fill(dp_, offered.dp, inputs_.layout.dp, number);
  const uint32_t per_replica = std::max(1u, inputs_.work.global_batch / inputs_.layout.dp);
  fill(micro_batch_, offered.micro_batch, inputs_.work.micro_batch, [&](uint32_t size) {
    return size == 1 ? tr("%1 of 1 sequence").arg(per_replica)
                     : tr("%1 of %2 sequences").arg(per_replica / size).arg(size);
  });
  const QSignalBlocker quiet_batch(global_batch_), quiet_parallel(sequence_parallel_);
  global_batch_->setValue(static_cast<int>(inputs_.work.global_batch));
  sequence_parallel_->setChecked(inputs_.layout.sequence_parallel);
  sequence_parallel_->setEnabled(offered.sequence_parallel);
}

void LayoutPanel::read_widgets() {
  if (filling_) return;
  const SessionInputs before = inputs_;
  inputs_.model = model_->currentData().toString().toStdString();
  inputs_.cluster = cluster_->currentData().toString().toStdString();
  inputs_.layout.schedule = schedule_->currentData().toString().toStdString();
  inputs_.work.sequence = sequence_->currentData().toUInt();
  inputs_.work.global_batch = static_cast<uint32_t>(global_batch_->value());
  inputs_.layout.tp = tp_->currentData().toUInt();
  inputs_.layout.pp = pp_->currentData().toUInt();
  inputs_.layout.dp = dp_->currentData().toUInt();
  inputs_.work.micro_batch = micro_batch_->currentData().toUInt();
  inputs_.layout.sequence_parallel = sequence_parallel_->isChecked();
  try {
    inputs_.work.precision = parse_precision(precision_->currentData().toString().toStdString());
    if (inputs_.cluster != before.cluster) {  // each has its usual number format
      inputs_.work.precision = session_->cluster(inputs_.cluster, 0).device.is_cpu ? Precision::fp32 : Precision::bf16;
    }
    show_inputs();
  } catch (const std::exception& error) {
    Q_EMIT failed(QString::fromStdString(error.what()));
    return;
  }
  Q_EMIT inputs_changed();
}

}  // namespace pgram::gui
