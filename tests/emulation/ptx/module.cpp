// The declarations of a PTX file.
#include <memory>

#include "tests/emulation/ptx/function_parser.h"
#include "tests/emulation/ptx/ptx.h"

namespace pgram::emulation::ptx {
namespace {

class ParsedModule : public Module {
 public:
  explicit ParsedModule(std::map<std::string, Function> functions) : functions_(std::move(functions)) {}

  const Function* find(const std::string& mangled_name) const override {
    const auto found = functions_.find(mangled_name);
    return found == functions_.end() ? nullptr : &found->second;
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, function] : functions_) names.push_back(name);
    return names;
  }

 private:
  std::map<std::string, Function> functions_;
};

class ModuleParser {
 public:
  explicit ModuleParser(const std::string& text) : cursor_(tokens_of(text)) {}

  std::map<std::string, Function> parse() {
    while (!cursor_.at_end()) parse_declaration();
    const auto data = std::make_shared<const std::vector<std::byte>>(std::move(data_));
    for (auto& [name, function] : functions_) function.module_data = data;
    return std::move(functions_);
  }

 private:
  void parse_declaration() {
    const Token token = cursor_.peek();
    if (token.kind != Token::word) cursor_.fail_here("a directive");
    if (token.is(".version") || token.is(".target") || token.is(".address_size") || token.is(".file") ||
        token.is(".loc")) {
      return cursor_.skip_line();
    }
    cursor_.next();
    if (token.is(".visible") || token.is(".extern") || token.is(".weak") || token.is(".common")) return;
    if (token.is(".entry")) return parse_kernel();
    if (token.is(".func")) return skip_function();
    if (token.is(".global") || token.is(".const")) return parse_data();
    if (token.is(".shared")) return parse_shared();
    if (token.is(".pragma") || token.is(".alias")) return cursor_.skip_statement();
    if (token.is(".section")) {
      cursor_.word("the name of a section");
      return cursor_.skip_braces();
    }
    fail_at(token.line, "unexpected '" + std::string(token.text) + "'");
  }

  void parse_kernel() {
    const Token name = cursor_.peek();
    Function function;
    function.name = cursor_.word("the name of a kernel");
    FunctionParser parser(cursor_, variables_, function);
    parser.parse_head();
    parser.parse_body();
    if (!functions_.emplace(function.name, std::move(function)).second) {
      fail_at(name.line, "the kernel '" + std::string(name.text) + "' is there twice");
    }
  }

  /// Nothing here calls functions; a `call` is an unknown instruction.
  void skip_function() {
    while (!cursor_.peek().is("{") && !cursor_.peek().is(";")) {
      if (cursor_.at_end()) cursor_.fail_here("'{'");
      cursor_.next();
    }
    if (!cursor_.accept(";")) cursor_.skip_braces();
  }

  /// ".align 4 .b8 name[3] = {1, 2, 3};"
  void parse_data() {
    do {
      const int line = cursor_.peek().line;
      const Variable variable = parse_variable(cursor_);
      const uint64_t offset = (data_.size() + variable.alignment - 1) / variable.alignment * variable.alignment;
      constexpr uint64_t kMostData = 64 << 20;
      if (offset + variable.bytes > kMostData) fail_at(line, "the variables are too large");
      data_.resize(offset + variable.bytes);
      variables_.addresses[variable.name] = kModuleWindow + offset;
      if (cursor_.accept("=")) parse_values(variable, offset);
    } while (cursor_.accept(","));
    cursor_.expect(";");
  }

  /// Inner braces do not matter: every row of an array is full.
  void parse_values(const Variable& variable, uint64_t offset) {
    const uint64_t end = offset + variable.bytes;
    int depth = 0;
    do {
      while (cursor_.accept("{")) ++depth;
      const int line = cursor_.peek().line;
      const uint64_t value = cursor_.number();
      if (offset + variable.element_bytes > end) fail_at(line, "too many values for " + std::string(variable.name));
      std::memcpy(&data_[offset], &value, variable.element_bytes);
      offset += variable.element_bytes;
      while (depth > 0 && cursor_.accept("}")) --depth;
    } while (depth > 0 && (cursor_.expect(","), true));
  }

  void parse_shared() {
    const Variable variable = parse_variable(cursor_);
    cursor_.expect(";");
    variables_.shared[variable.name] = variable;
  }

  Cursor cursor_;
  ModuleVariables variables_;
  std::vector<std::byte> data_;
  std::map<std::string, Function> functions_;
};

}  // namespace

std::shared_ptr<const Module> Module::parse(const std::string& text) {
  return std::make_shared<ParsedModule>(ModuleParser(text).parse());
}

std::vector<uint32_t> parameter_sizes(const Function& function) {
  std::vector<uint32_t> sizes;
  for (const Function::Parameter& parameter : function.parameters) sizes.push_back(parameter.bytes);
  return sizes;
}

}  // namespace pgram::emulation::ptx
