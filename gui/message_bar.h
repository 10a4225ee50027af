// MessageBar: one line that says what went wrong. It waits for nobody: the window stays usable.
#pragma once
#include <QFrame>

class QLabel;

namespace pgram::gui {

class MessageBar : public QFrame {
  Q_OBJECT
 public:
  enum class Kind { information, warning, error };
  explicit MessageBar(QWidget* parent = nullptr);
  void say(Kind, const QString& text);
  QString text() const;

 private:
  QLabel* icon_;
  QLabel* label_;
};

}  // namespace pgram::gui
