// The body of a kernel: registers, variables, labels and instructions.
#pragma once
#include <map>
#include <string_view>

#include "tests/emulation/ptx/cursor.h"
#include "tests/emulation/ptx/program.h"
#include "tests/emulation/ptx/statement.h"

namespace pgram::emulation::ptx {

/// Variables of the module that kernels name.
struct ModuleVariables {
  std::map<std::string_view, uint64_t> addresses;  ///< of .global and .const
  std::map<std::string_view, Variable> shared;     ///< each kernel that names one has its own
};

class FunctionParser {
 public:
  FunctionParser(Cursor& cursor, const ModuleVariables& variables, Function& function)
      : cursor_(cursor), module_(variables), function_(function) {}

  /// "(.param .u64 a, ...)" and the directives behind it, up to the body.
  void parse_head();
  /// "{ ... }"
  void parse_body();

 private:
  struct Branch {
    size_t instruction;
    std::string_view label;
    int line;
  };
  struct TableEntry {
    uint32_t table, position;
    std::string_view label;
    int line;
  };
  /// What is between '{' and '}': inline assembly has names of its own.
  struct Scope {
    std::map<std::string_view, uint32_t> registers;
    std::map<std::string_view, uint64_t> ranges;  ///< of "%r<12>": how many
    std::map<std::string_view, uint64_t> variables;
    std::map<std::string_view, uint32_t> labels, tables;
    std::vector<Branch> branches;  ///< whose label was not seen yet
    std::vector<TableEntry> table_entries;
  };

  void parse_parameter();
  void parse_registers();
  void parse_local_variable(std::string_view space);
  void parse_branch_targets(std::string_view label);
  void parse_statement();
  void parse_instruction();
  void close_scope();

  Operand operand();
  Operand address();
  Operand vector();
  Operand plain_operand();
  uint32_t constant(uint64_t value);
  uint32_t new_slot() { return function_.slots++; }
  uint32_t register_named(std::string_view name);
  std::optional<uint32_t> find_register(std::string_view name);
  std::optional<uint64_t> find_variable(std::string_view name);
  uint32_t place(Area& area, const Variable& variable, uint64_t most);
  void append(const Instruction& instruction, std::string text);

  Cursor& cursor_;
  const ModuleVariables& module_;
  Function& function_;
  std::vector<Scope> scopes_;
  std::map<uint64_t, uint32_t> constants_;
  std::map<Special, uint32_t> specials_;
  std::map<std::string_view, uint64_t> parameters_, shared_;
};

}  // namespace pgram::emulation::ptx
