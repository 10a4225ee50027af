#include "gui/message_bar.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QStyle>
#include <QToolButton>

namespace pgram::gui {

MessageBar::MessageBar(QWidget* parent) : QFrame(parent), icon_(new QLabel), label_(new QLabel) {
  setObjectName(QStringLiteral("messageBar"));
  setFrameShape(QFrame::NoFrame);
  setAutoFillBackground(true);
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(8, 4, 4, 4);
  label_->setWordWrap(true);
  label_->setTextFormat(Qt::PlainText);
  label_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  auto* close = new QToolButton;
  close->setAutoRaise(true);
  close->setIcon(style()->standardIcon(QStyle::SP_TitleBarCloseButton));
  close->setToolTip(tr("Close this message"));
  connect(close, &QToolButton::clicked, this, &QWidget::hide);
  layout->addWidget(icon_);
  layout->addWidget(label_, 1);
  layout->addWidget(close);
  hide();
}

void MessageBar::say(Kind kind, const QString& text) {
  const bool dark = window()->palette().color(QPalette::Window).lightnessF() < 0.5;
  QColor back = kind == Kind::information ? QColor(0x56, 0xb4, 0xe9)
                : kind == Kind::warning   ? QColor(0xe6, 0x9f, 0x00)
                                          : QColor(0xd5, 0x5e, 0x00);
  back = dark ? back.darker(260) : back.lighter(kind == Kind::error ? 175 : 165);
  QPalette colours = palette();
  colours.setColor(QPalette::Window, back);
  colours.setColor(QPalette::WindowText, dark ? Qt::white : Qt::black);
  setPalette(colours);
  const auto pixmap = kind == Kind::information ? QStyle::SP_MessageBoxInformation
                      : kind == Kind::warning   ? QStyle::SP_MessageBoxWarning
                                                : QStyle::SP_MessageBoxCritical;
  icon_->setPixmap(style()->standardIcon(pixmap).pixmap(18, 18));
  label_->setText(text);
  show();
}

QString MessageBar::text() const {
  return label_->text();
}

}  // namespace pgram::gui
