#include "tests/emulation/ptx/function_parser.h"

#include <algorithm>
#include <charconv>

namespace pgram::emulation::ptx {
namespace {

constexpr uint64_t kMostShared = 256 << 10, kMostLocal = 512 << 10, kMostParameters = 32 << 10;

constexpr std::string_view kSpecials[] = {
    "%tid.x",   "%tid.y",       "%tid.z",       "%ntid.x",      "%ntid.y",      "%ntid.z",     "%ctaid.x",
    "%ctaid.y", "%ctaid.z",     "%nctaid.x",    "%nctaid.y",    "%nctaid.z",    "%laneid",     "%warpid",
    "%nwarpid", "%lanemask_eq", "%lanemask_le", "%lanemask_lt", "%lanemask_ge", "%lanemask_gt"};

/// The text between two tokens of the file, blanks and line ends as one blank.
std::string text_between(const Token& first, const Token& behind) {
  std::string text;
  for (const char* c = first.text.data(); c < behind.text.data(); ++c) {
    const bool blank = *c == ' ' || *c == '\t' || *c == '\n' || *c == '\r';
    if (!blank) text += *c;
    if (blank && !text.empty() && text.back() != ' ') text += ' ';
  }
  return text;
}

}  // namespace

uint64_t Area::add(uint64_t bytes, uint64_t alignment) {
  constexpr uint64_t kGap = 32;
  const uint64_t offset = (inside.size() + kGap + alignment - 1) / alignment * alignment;
  inside.resize(offset, false);
  inside.resize(offset + bytes, true);
  return offset;
}

bool Area::holds(uint64_t offset, uint64_t bytes) const {
  if (offset >= inside.size() || inside.size() - offset < bytes) return false;
  // Gaps are wider than any access.
  return inside[offset] && inside[offset + bytes - 1];
}

void FunctionParser::parse_parameter() {
  cursor_.expect(".param");
  const int line = cursor_.peek().line;
  uint64_t alignment = 1, bytes = 0;
  while (cursor_.peek().text.starts_with('.')) {
    const std::string_view word = cursor_.next().text;
    if (word == ".align") {
      alignment = cursor_.number();
    } else if (const uint32_t size = bytes_of(type_named(word.substr(1)))) {
      bytes = size;
    } else if (word != ".ptr" && word != ".global" && word != ".shared" && word != ".const" && word != ".local") {
      fail_at(line, "'" + std::string(word) + "' is no part of a parameter");
    }
  }
  const std::string_view name = cursor_.word("the name of a parameter");
  if (bytes == 0) fail_at(line, "parameter " + std::string(name) + " has no type");
  if (cursor_.accept("[")) {
    const uint64_t count = cursor_.number();
    if (count > kMostParameters) fail_at(line, "parameter " + std::string(name) + " is too large");
    bytes *= count;
    cursor_.expect("]");
  } else {
    alignment = bytes;  // ".ptr .align 16" is about what the pointer points to
  }
  if (alignment == 0 || alignment > 4096 || (alignment & (alignment - 1))) fail_at(line, "no such alignment");
  const uint64_t offset = (function_.parameter_bytes + alignment - 1) / alignment * alignment;
  if (offset + bytes > kMostParameters) fail_at(line, "the parameters are too large");
  function_.parameters.push_back({static_cast<uint32_t>(offset), static_cast<uint32_t>(bytes)});
  function_.parameter_bytes = static_cast<uint32_t>(offset + bytes);
  parameters_[name] = offset;
}

void FunctionParser::parse_head() {
  if (cursor_.accept("(") && !cursor_.accept(")")) {
    do {
      parse_parameter();
    } while (cursor_.accept(","));
    cursor_.expect(")");
  }
  while (!cursor_.peek().is("{")) {
    const std::string_view directive = cursor_.word("'{'");
    if (directive == ".pragma") {
      cursor_.skip_statement();
      continue;
    }
    if (!directive.starts_with('.'))
      fail_at(cursor_.peek().line, "expected '{', found '" + std::string(directive) + "'");
    // .maxntid, .reqntid, .minnctapersm, .maxnreg ...: up to three numbers, or none.
    uint64_t product = 1;
    while (cursor_.peek().kind == Token::word && number_of(cursor_.peek().text)) {
      product *= std::min<uint64_t>(cursor_.number(), 1 << 16);
      if (!cursor_.accept(",")) break;
    }
    if (directive == ".maxntid") function_.max_threads = product;
    if (directive == ".reqntid") function_.required_threads = product;
  }
}

void FunctionParser::parse_body() {
  cursor_.expect("{");
  scopes_.emplace_back();
  while (!scopes_.empty()) {
    if (cursor_.accept("}")) {
      close_scope();
    } else if (cursor_.accept("{")) {
      scopes_.emplace_back();
    } else {
      parse_statement();
    }
  }
  Instruction end;
  end.flow = Flow::exit;
  append(end, "end of the kernel");
  for (const auto& [value, slot] : constants_) function_.constants.emplace_back(slot, value);
  for (const auto& [special, slot] : specials_) function_.specials.emplace_back(slot, special);
}

void FunctionParser::close_scope() {
  Scope scope = std::move(scopes_.back());
  scopes_.pop_back();
  for (const Branch& branch : scope.branches) {
    Instruction& instruction = function_.code[branch.instruction];
    const auto& known = instruction.flow == Flow::branch ? scope.labels : scope.tables;
    if (const auto found = known.find(branch.label); found != known.end()) {
      instruction.target = found->second;
    } else if (scopes_.empty()) {
      fail_at(branch.line, "there is no label '" + std::string(branch.label) + "'");
    } else {
      scopes_.back().branches.push_back(branch);
    }
  }
  for (const TableEntry& entry : scope.table_entries) {
    if (const auto found = scope.labels.find(entry.label); found != scope.labels.end()) {
      function_.branch_tables[entry.table][entry.position] = found->second;
    } else if (scopes_.empty()) {
      fail_at(entry.line, "there is no label '" + std::string(entry.label) + "'");
    } else {
      scopes_.back().table_entries.push_back(entry);
    }
  }
}

void FunctionParser::parse_statement() {
  const Token& token = cursor_.peek();
  if (token.is("@")) return parse_instruction();
  if (token.kind != Token::word) cursor_.fail_here("an instruction");
  if (cursor_.peek(1).is(":")) {
    const std::string_view label = cursor_.next().text;
    cursor_.next();
    if (cursor_.peek().is(".branchtargets")) return parse_branch_targets(label);
    if (!scopes_.back().labels.emplace(label, static_cast<uint32_t>(function_.code.size())).second) {
      fail_at(token.line, "the label '" + std::string(label) + "' is there twice");
    }
    return;
  }
  if (!token.text.starts_with('.')) return parse_instruction();
  const std::string_view directive = cursor_.next().text;
  if (directive == ".reg") {
    parse_registers();
  } else if (directive == ".local" || directive == ".shared" || directive == ".param") {
    parse_local_variable(directive);
  } else if (directive == ".loc" || directive == ".file") {
    while (!cursor_.at_end() && cursor_.peek().line == token.line) cursor_.next();
  } else if (directive == ".pragma") {
    cursor_.skip_statement();
  } else {
    fail_at(token.line, "unexpected '" + std::string(directive) + "'");
  }
}

void FunctionParser::parse_registers() {
  const std::string_view type = cursor_.word("a type");
  if (type_named(type.substr(1)) == Type::none && type != ".b128") {
    fail_at(cursor_.peek().line, "'" + std::string(type) + "' is no type of a register");
  }
  do {
    const std::string_view name = cursor_.word("the name of a register");
    if (cursor_.accept("<")) {
      scopes_.back().ranges[name] = cursor_.number();
      cursor_.expect(">");
    } else {
      scopes_.back().registers[name] = new_slot();
    }
  } while (cursor_.accept(","));
  cursor_.expect(";");
}

uint32_t FunctionParser::place(Area& area, const Variable& variable, uint64_t most) {
  if (area.inside.size() + variable.bytes > most) {
    fail_at(cursor_.peek().line, std::string(variable.name) + " is too large");
  }
  return static_cast<uint32_t>(area.add(variable.bytes, variable.alignment));
}

void FunctionParser::parse_local_variable(std::string_view space) {
  do {
    const Variable variable = parse_variable(cursor_);
    uint64_t& address = scopes_.back().variables[variable.name];
    if (space == ".shared") address = place(function_.shared, variable, kMostShared);
    if (space == ".local") address = place(function_.local, variable, kMostLocal);
    if (space == ".param") address = kMostParameters;  // of a call, which no kernel here may have: not readable
  } while (cursor_.accept(","));
  cursor_.expect(";");
}

void FunctionParser::parse_branch_targets(std::string_view label) {
  cursor_.expect(".branchtargets");
  const auto table = static_cast<uint32_t>(function_.branch_tables.size());
  std::vector<uint32_t>& targets = function_.branch_tables.emplace_back();
  do {
    const Token& target = cursor_.peek();
    scopes_.back().table_entries.push_back(
        {table, static_cast<uint32_t>(targets.size()), cursor_.word("a label"), target.line});
    targets.push_back(0);
  } while (cursor_.accept(","));
  cursor_.expect(";");
  scopes_.back().tables[label] = table;
}

void FunctionParser::append(const Instruction& instruction, std::string text) {
  function_.code.push_back(instruction);
  function_.texts.push_back(std::move(text));
}

void FunctionParser::parse_instruction() {
  const Token first = cursor_.peek();
  uint32_t guard = kNoSlot;
  bool negated = false;
  if (cursor_.accept("@")) {
    negated = cursor_.accept("!");
    guard = register_named(cursor_.word("a predicate"));
  }
  Statement statement(cursor_.word("an instruction"));
  std::string_view label;
  const bool known = is_known(statement);
  const bool branches = statement.name == "bra" || statement.name == "brx";
  while (known && !cursor_.peek().is(";")) {
    if (branches && statement.operands.size() == (statement.name == "brx")) {
      label = cursor_.word("a label");
      statement.operands.emplace_back().kind = Operand::label;
    } else {
      statement.operands.push_back(operand());
    }
    if (!cursor_.accept(",")) break;
  }
  if (known && !cursor_.peek().is(";")) cursor_.fail_here("';'");
  while (!cursor_.peek().is(";")) {
    if (cursor_.at_end()) cursor_.fail_here("';'");
    cursor_.next();
  }
  std::string text = text_between(first, cursor_.peek());
  cursor_.next();
  Instruction instruction;
  if (!known || !decode(statement, instruction)) {
    instruction = {};
    instruction.execute = execute_unknown;
    label = {};
  }
  instruction.guard = guard;
  instruction.guard_negated = negated;
  if (!label.empty()) scopes_.back().branches.push_back({function_.code.size(), label, first.line});
  append(instruction, std::move(text));
}

uint32_t FunctionParser::constant(uint64_t value) {
  const auto [place, is_new] = constants_.emplace(value, 0);
  if (is_new) place->second = new_slot();
  return place->second;
}

std::optional<uint32_t> FunctionParser::find_register(std::string_view name) {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto found = scope->registers.find(name); found != scope->registers.end()) return found->second;
    const size_t digits = name.find_last_not_of("0123456789") + 1;
    if (digits == 0 || digits == name.size()) continue;
    const auto range = scope->ranges.find(name.substr(0, digits));
    if (range == scope->ranges.end()) continue;
    uint64_t number = UINT64_MAX;  // stays so where there are too many digits
    std::from_chars(name.data() + digits, name.data() + name.size(), number);
    if (number < range->second) return scope->registers[name] = new_slot();
  }
  const auto* const special = std::find(std::begin(kSpecials), std::end(kSpecials), name);
  if (special == std::end(kSpecials)) return std::nullopt;
  const auto [place, is_new] = specials_.emplace(static_cast<Special>(special - std::begin(kSpecials)), 0);
  if (is_new) place->second = new_slot();
  return place->second;
}

uint32_t FunctionParser::register_named(std::string_view name) {
  const std::optional<uint32_t> slot = find_register(name);
  if (!slot) fail_at(cursor_.peek().line, "there is no register '" + std::string(name) + "'");
  return *slot;
}

std::optional<uint64_t> FunctionParser::find_variable(std::string_view name) {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto found = scope->variables.find(name); found != scope->variables.end()) return found->second;
  }
  if (const auto found = parameters_.find(name); found != parameters_.end()) return found->second;
  if (const auto found = shared_.find(name); found != shared_.end()) return found->second;
  if (const auto found = module_.shared.find(name); found != module_.shared.end()) {
    return shared_[name] = place(function_.shared, found->second, kMostShared);
  }
  if (const auto found = module_.addresses.find(name); found != module_.addresses.end()) return found->second;
  return std::nullopt;
}

Operand FunctionParser::operand() {
  if (cursor_.peek().is("{")) return vector();
  if (cursor_.peek().is("[")) return address();
  if (!cursor_.accept("!")) {
    Operand result = plain_operand();
    if (cursor_.accept("|")) result.second = plain_operand().value;
    return result;
  }
  // "!%p": an instruction of its own in front computes it.
  Statement negation("not.pred");
  negation.operands = {Operand{}, plain_operand()};
  negation.operands[0].value = new_slot();
  Instruction instruction;
  decode(negation, instruction);
  append(instruction, "not.pred");
  return negation.operands[0];
}

/// A register, a number, or the address of a variable.
Operand FunctionParser::plain_operand() {
  Operand result;
  const Token token = cursor_.peek();
  if (token.is("-") || (token.kind == Token::word && number_of(token.text))) {
    result.value = constant(cursor_.number());
    return result;
  }
  const std::string_view name = cursor_.word("an operand");
  if (name == "_") return result;
  if (name == "WARP_SZ") {
    result.value = constant(kLanes);
  } else if (const auto slot = find_register(name)) {
    result.value = *slot;
  } else if (const auto variable = find_variable(name)) {
    result.value = constant(*variable + (cursor_.accept("+") ? cursor_.number() : 0));
  } else {
    fail_at(token.line, "there is no register or variable '" + std::string(name) + "'");
  }
  return result;
}

Operand FunctionParser::address() {
  cursor_.expect("[");
  Operand result = plain_operand();
  result.kind = Operand::address;
  if (cursor_.accept("+")) result.offset = static_cast<int64_t>(cursor_.number());
  if (cursor_.peek().is("-")) result.offset = static_cast<int64_t>(cursor_.number());
  cursor_.expect("]");
  return result;
}

Operand FunctionParser::vector() {
  cursor_.expect("{");
  Operand result;
  result.kind = Operand::vector;
  do {
    if (result.count == kMaxElements) cursor_.fail_here("at most 8 elements");
    result.elements[result.count++] = plain_operand().value;
  } while (cursor_.accept(","));
  cursor_.expect("}");
  return result;
}

}  // namespace pgram::emulation::ptx
